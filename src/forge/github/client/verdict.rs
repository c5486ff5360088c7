//! What an answer means: its content, or the error it stands for.

use http::HeaderMap;
use secrecy::ExposeSecret as _;
use serde_json::Value;

use super::super::error::{ApiError, Lack, Result};
use super::super::limits;
use super::super::token::Source;
use super::wire::{self, Reply};
use super::{Answer, Client, Request, link, short};
use crate::report;

impl Client {
    pub(super) fn answer(&self, request: &Request<'_>, reply: Reply) -> Result<Answer> {
        if !(200..300).contains(&reply.status) {
            return Err(self.refusal(request, &reply));
        }
        let body = match reply.body {
            Some(body) => body,
            None if reply.text.trim().is_empty() => Value::Null,
            None => return Err(self.not_json(request, &reply)),
        };
        let next = match link::next(&reply.headers) {
            Some(address) => Some(self.local(&request.asked, &address)?),
            None => None,
        };
        let header = |name: &str| wire::header(&reply.headers, name).map(str::to_owned);
        Ok(Answer {
            status: reply.status,
            etag: header("etag"),
            date: wire::header(&reply.headers, "date").and_then(limits::date),
            scopes: header("x-oauth-scopes"),
            body,
            next,
        })
    }

    pub(super) fn data(&self, request: &Request<'_>, reply: &Reply) -> Result<Value> {
        if reply.status != 200 {
            return Err(self.refusal(request, reply));
        }
        let Some(mut body) = reply.body.clone() else {
            return Err(self.not_json(request, reply));
        };
        let errors = body["errors"].as_array().cloned().unwrap_or_default();
        if let Some(first) = errors.first() {
            let message = self.clean(first["message"].as_str().unwrap_or_default());
            return Err(match first["type"].as_str().unwrap_or_default() {
                "NOT_FOUND" => self.not_found(format!("{} ({message})", request.asked)),
                "FORBIDDEN" | "INSUFFICIENT_SCOPES" => {
                    self.lack("use", &request.asked, &message, &reply.headers)
                }
                _ => ApiError::Refused {
                    asked: request.asked.clone(),
                    status: 200,
                    message,
                    errors: errors.into_iter().skip(1).collect(),
                },
            });
        }
        match body["data"].take() {
            Value::Null => Err(ApiError::Malformed {
                asked: request.asked.clone(),
                detail: "it has no data".to_owned(),
            }),
            data => Ok(data),
        }
    }

    /// The error that an answer outside 2xx stands for.
    fn refusal(&self, request: &Request<'_>, reply: &Reply) -> ApiError {
        let Some(body) = &reply.body else {
            return self.not_json(request, reply);
        };
        let asked = request.asked.clone();
        let message = self.clean(body["message"].as_str().unwrap_or("it does not say why"));
        let barred = message.contains("not permitted to create or approve pull requests");
        match reply.status {
            401 => ApiError::Unauthorized {
                host: self.origin.host.clone(),
                from: self.token.source().clone(),
                message,
                mend: self.renewal(),
            },
            403 | 422 if reply.status == 403 || barred => {
                let path = request.path.strip_prefix(&self.base);
                let (method, path) = match (request.path == self.graphql, path) {
                    (true, _) => ("use", asked.as_str()),
                    (false, path) => (
                        request.method.as_str(),
                        short(path.unwrap_or(&request.path)),
                    ),
                };
                self.lack(method, path, &message, &reply.headers)
            }
            404 => self.not_found(asked),
            410 => ApiError::Gone { asked, message },
            400..500 => ApiError::Refused {
                asked,
                status: reply.status,
                message,
                errors: body["errors"].as_array().cloned().unwrap_or_else(|| {
                    // Some routes have a text there.
                    body["errors"]
                        .as_str()
                        .map(Value::from)
                        .into_iter()
                        .collect()
                }),
            },
            status => ApiError::Malformed {
                asked,
                detail: format!("status {status}"),
            },
        }
    }

    fn not_found(&self, asked: String) -> ApiError {
        ApiError::NotFound {
            asked,
            host: self.origin.host.clone(),
            from: self.token.source().clone(),
        }
    }

    fn lack(&self, method: &str, path: &str, message: &str, headers: &HeaderMap) -> ApiError {
        Lack {
            place: &self.place,
            from: self.token.source(),
            kind: self.kind,
            method,
            path,
            message,
            permissions: wire::header(headers, "x-accepted-github-permissions"),
            scopes: wire::header(headers, "x-accepted-oauth-scopes"),
            granted: wire::header(headers, "x-oauth-scopes"),
            sso: wire::header(headers, "x-github-sso"),
        }
        .error()
    }

    /// How to get another token in place of one that is not accepted.
    fn renewal(&self) -> String {
        let place = &self.place;
        match self.token.source() {
            Source::Variable(name) => format!(
                "make a new one at {}/settings/tokens and set {name} to it, or unset {name}",
                place.web
            ),
            Source::Gh => format!("log in again: gh auth login --hostname {}", place.host()),
            Source::CredentialHelper => format!(
                "have the helper forget it: printf 'url={}\\n\\n' | git credential reject",
                place.web
            ),
        }
    }

    fn not_json(&self, request: &Request<'_>, reply: &Reply) -> ApiError {
        let kind = reply.header("content-type").unwrap_or("no content type");
        let detail = self.clean(&format!("status {}, {kind}", reply.status));
        if reply.header("x-github-request-id").is_some() {
            return ApiError::Malformed {
                asked: request.asked.clone(),
                detail,
            };
        }
        ApiError::NotGitHub {
            api: self.place.api.clone(),
            detail,
        }
    }

    /// What a server said, fit to be shown: one short line, without the token.
    pub(super) fn clean(&self, text: &str) -> String {
        let text = text.replace(self.token.secret().expose_secret(), "***");
        let text: String = text.chars().take(400).collect();
        report::clean::line(&text)
    }
}
