//! Addresses in answers: redirects, and whether an address is on this very server.

use super::super::error::{ApiError, Result};
use super::super::place::{Origin, shown};
use super::wire::Reply;
use super::{Client, Moved, REDIRECTS, Request, link};

impl Client {
    /// Where a redirect leads on this server; remembers that the repository has moved.
    pub(super) fn redirect(
        &mut self,
        request: &Request<'_>,
        from: &str,
        reply: &Reply,
        number: u32,
    ) -> Result<String> {
        let malformed = |detail: &str| ApiError::Malformed {
            asked: request.asked.clone(),
            detail: detail.to_owned(),
        };
        if number > REDIRECTS {
            return Err(malformed("it redirects again and again"));
        }
        let location = reply.header("location");
        let location = location.ok_or_else(|| malformed("it redirects nowhere"))?;
        let path = self.local(&request.asked, location)?;
        if matches!(reply.status, 301 | 308)
            && let (Some(old), Some(new)) = (
                from.strip_prefix(self.base.as_str()),
                path.strip_prefix(self.base.as_str()),
            )
            && let Some(rest) = link::below(old, &self.place.repository())
            && let Some(route) = link::repository(new, rest)
        {
            self.moved = Some(Moved {
                name: link::name(&route),
                route,
            });
        }
        Ok(path)
    }

    /// Path and query of an address on this very server.
    pub(super) fn local(&self, asked: &str, address: &str) -> Result<String> {
        if address.starts_with('/') && !address.starts_with("//") {
            return Ok(address.to_owned());
        }
        let uri: Option<http::Uri> = address.parse().ok();
        match (Origin::parse(address), uri) {
            (Some(origin), Some(uri)) if origin == self.origin => {
                Ok(uri.path_and_query().map_or("/", |p| p.as_str()).to_owned())
            }
            _ => Err(ApiError::Elsewhere {
                asked: asked.to_owned(),
                to: self.clean(&shown(address)),
            }),
        }
    }
}
