//! `architecture.md`: the task table and the sections per file or task.

use std::sync::Arc;

use super::sections::Sections;
pub use super::sections::method_name;
pub(crate) use super::sections::{Section, Subject};
use super::table::Tables;
use super::{Kind, blocks};
use crate::plan::diagnostic::{At, Diagnostics, Document, Sited};
use crate::plan::draft::TaskDraft;
use crate::plan::params::Params;
use crate::plan::reader::Text;

/// What the document says, each piece with its place.
#[derive(Debug)]
pub(crate) struct Architecture {
    /// The document.
    pub(crate) document: Arc<Document>,
    /// Its first heading.
    pub(crate) title: Option<Text>,
    /// Tasks of the task table; empty when there is none.
    pub(crate) tasks: Vec<TaskDraft>,
    /// Sections per file or task.
    pub(crate) sections: Vec<Section>,
}

impl Architecture {
    /// Reads the document; what is missing or doubtful goes to `out`.
    pub(crate) fn read(
        document: &Arc<Document>,
        params: &mut Params,
        out: &mut Diagnostics,
    ) -> Self {
        let blocks = blocks(&document.text);
        let title = blocks
            .iter()
            .find(|block| matches!(block.kind, Kind::Heading(1)))
            .map(|block| {
                let at = At {
                    document: Arc::clone(document),
                    span: block.span.clone(),
                };
                Sited {
                    value: block.text.replace('`', ""),
                    at,
                }
            });
        let tasks = Tables {
            document,
            params,
            out,
        }
        .tasks(&blocks);
        let ids: Vec<String> = tasks.iter().map(|task| task.id.value.clone()).collect();
        let sections = Sections {
            document,
            params,
            out,
            ids: &ids,
        }
        .read(&blocks);
        Self {
            document: Arc::clone(document),
            title,
            tasks,
            sections,
        }
    }
}
