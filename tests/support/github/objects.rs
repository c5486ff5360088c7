//! Objects of the GraphQL interface, lists of them, and how a field's value is handed back.

use std::cell::RefCell;
use std::rc::Rc;

use apollo_compiler::resolvers::{FieldError, ObjectValue, ResolveInfo, ResolvedValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::resolve;
use super::state::{Id, Kind, State, Token};

/// What one query is executed with.
pub struct Ctx<'s> {
    pub state: RefCell<&'s mut State>,
    pub token: Token,
    /// What the server itself cannot do, or the query should not.
    pub wrong: RefCell<Vec<String>>,
}

/// An object, by where it is in the state.
#[derive(Debug, Clone)]
pub enum Node {
    Query,
    Mutation,
    /// Who asks: a `User` even where it is a bot, and then `name[bot]`.
    Viewer(Id),
    Actor(Id),
    Repo(Id),
    Pull(Id, u64),
    Review(Id, u64, Id),
    Thread(Id, u64, Id),
    /// The thread's number, then its own.
    Remark(Id, u64, Id, Id),
    Comment(Id, u64, Id),
    ReviewRequest(Id, u64, Id),
    Label(Id, String),
    Ref(Id, String),
    Commit(Id, String),
    /// All statuses of a commit.
    Status(Id, String),
    Context(Id, Id),
    Check(Id, Id),
    Rollup(Id, String),
    Many(Rc<Many>),
    Plain(Rc<Plain>),
}

/// A page of a connection.
#[derive(Debug)]
pub struct Many {
    kind: &'static str,
    items: Vec<Node>,
    start: usize,
    total: usize,
}

/// An object whose fields are known.
#[derive(Debug)]
pub struct Plain {
    pub kind: String,
    pub fields: Map<String, Value>,
    pub nodes: Vec<(&'static str, Got)>,
}

/// A field's value.
#[derive(Debug, Clone)]
pub enum Got {
    Leaf(Value),
    One(Node),
    List(Vec<Node>),
    /// A connection of this kind; the arguments say which part of it.
    Connection(&'static str, Vec<Node>),
}

/// A field's value, or an error: its type, `\u{1}`, its message.
pub type Resolved = Result<Got, String>;

impl Got {
    /// An object, or null.
    pub fn maybe(node: Option<Node>) -> Self {
        node.map_or(Self::Leaf(Value::Null), Self::One)
    }

    /// An object with these fields.
    pub fn plain(kind: &str, fields: Value, nodes: Vec<(&'static str, Self)>) -> Self {
        let Value::Object(fields) = fields else {
            unreachable!("the fields of {kind} are an object")
        };
        let kind = kind.to_owned();
        Self::One(Node::Plain(Rc::new(Plain {
            kind,
            fields,
            nodes,
        })))
    }
}

/// A leaf.
pub fn leaf(value: impl Into<Value>) -> Resolved {
    Ok(Got::Leaf(value.into()))
}

/// An error with a type, as GitHub has them.
pub fn error<T>(kind: &str, message: impl std::fmt::Display) -> Result<T, String> {
    Err(format!("{kind}\u{1}{message}"))
}

/// An object with what is needed to look at it.
pub struct Obj<'c, 's> {
    ctx: &'c Ctx<'s>,
    node: Node,
    name: String,
}

impl<'c, 's> Obj<'c, 's> {
    /// To be looked at in a query.
    pub fn new(ctx: &'c Ctx<'s>, node: Node) -> Self {
        let name = match &node {
            Node::Query => "Query".into(),
            Node::Mutation => "Mutation".into(),
            Node::Viewer(_) => "User".into(),
            Node::Actor(id) => match ctx.state.borrow().who(*id).kind {
                Kind::User => "User".into(),
                Kind::Bot => "Bot".into(),
            },
            Node::Repo(_) => "Repository".into(),
            Node::Pull(..) => "PullRequest".into(),
            Node::Review(..) => "PullRequestReview".into(),
            Node::Thread(..) => "PullRequestReviewThread".into(),
            Node::Remark(..) => "PullRequestReviewComment".into(),
            Node::Comment(..) => "IssueComment".into(),
            Node::ReviewRequest(..) => "ReviewRequest".into(),
            Node::Label(..) => "Label".into(),
            Node::Ref(..) => "Ref".into(),
            Node::Commit(..) => "Commit".into(),
            Node::Status(..) => "Status".into(),
            Node::Context(..) => "StatusContext".into(),
            Node::Check(..) => "CheckRun".into(),
            Node::Rollup(..) => "StatusCheckRollup".into(),
            Node::Many(many) => format!("{}Connection", many.kind),
            Node::Plain(plain) => plain.kind.clone(),
        };
        Self { ctx, node, name }
    }
}

impl ObjectValue for Obj<'_, '_> {
    fn type_name(&self) -> &str {
        &self.name
    }

    fn resolve_field<'a>(
        &'a self,
        info: &'a ResolveInfo<'a>,
    ) -> Result<ResolvedValue<'a>, FieldError> {
        let fail = |message| FieldError { message };
        let name = info.field_name();
        let args = serde_json::to_value(info.arguments()).map_err(|e| fail(e.to_string()))?;
        let got = match &self.node {
            Node::Many(many) => many.field(name),
            Node::Plain(plain) => plain.field(name),
            node => resolve::field(self.ctx, node, name, &args),
        };
        let unknown = || format!("the server of the tests has no {}.{name}", self.name);
        let got = got.map_err(|e| fail(if e.is_empty() { unknown() } else { e }))?;
        let object = |node| ResolvedValue::object(Obj::new(self.ctx, node));
        Ok(match got {
            Got::Leaf(value) => ResolvedValue::leaf(value),
            Got::One(node) => object(node),
            Got::List(nodes) => {
                let ctx = self.ctx;
                let nodes = nodes.into_iter();
                ResolvedValue::list(nodes.map(|n| ResolvedValue::object(Obj::new(ctx, n))))
            }
            Got::Connection(kind, nodes) => {
                let many = Many::page(kind, &nodes, name, &args).map_err(fail)?;
                object(Node::Many(Rc::new(many)))
            }
        })
    }
}

fn cursor(at: usize) -> String {
    STANDARD.encode(format!("cursor:v2:{at}"))
}

fn place(cursor: &Value) -> Option<usize> {
    let text = STANDARD.decode(cursor.as_str()?).ok()?;
    String::from_utf8(text)
        .ok()?
        .strip_prefix("cursor:v2:")?
        .parse()
        .ok()
}

impl Many {
    fn page(kind: &'static str, nodes: &[Node], field: &str, args: &Value) -> Result<Self, String> {
        let total = nodes.len();
        let number = |name: &str| args[name].as_u64().map(|n| usize::try_from(n).unwrap());
        let (first, last) = (number("first"), number("last"));
        if first.is_none() && last.is_none() {
            let what = format!(
                "You must provide a `first` or `last` value to properly paginate the `{field}` \
                 connection."
            );
            return error("MISSING_PAGINATION_BOUNDARIES", what);
        }
        for (name, n) in [("first", first), ("last", last)] {
            if let Some(n) = n.filter(|n| !(1..=100).contains(n)) {
                let what = format!(
                    "Requesting {n} records on the `{field}` connection exceeds the `{name}` \
                     limit of 100 records."
                );
                return error("EXCESSIVE_PAGINATION", what);
            }
        }
        let mut start = place(&args["after"]).map_or(0, |at| at + 1).min(total);
        let mut end = place(&args["before"])
            .unwrap_or(total)
            .max(start)
            .min(total);
        if let Some(first) = first {
            end = end.min(start + first);
        }
        if let Some(last) = last {
            start = start.max(end.saturating_sub(last));
        }
        let items = nodes[start..end].to_vec();
        Ok(Self {
            kind,
            items,
            start,
            total,
        })
    }

    fn field(&self, name: &str) -> Resolved {
        let end = self.start + self.items.len();
        match name {
            "nodes" => Ok(Got::List(self.items.clone())),
            "totalCount" => leaf(self.total),
            "edges" => {
                let edges = self.items.iter().enumerate().map(|(i, item)| {
                    let fields = json!({"cursor": cursor(self.start + i)});
                    let kind = format!("{}Edge", self.kind);
                    match Got::plain(&kind, fields, vec![("node", Got::One(item.clone()))]) {
                        Got::One(node) => node,
                        _ => unreachable!("a plain object is one"),
                    }
                });
                Ok(Got::List(edges.collect()))
            }
            "pageInfo" => {
                let ends = (!self.items.is_empty()).then(|| (cursor(self.start), cursor(end - 1)));
                let fields = json!({
                    "hasNextPage": end < self.total,
                    "hasPreviousPage": self.start > 0,
                    "startCursor": ends.as_ref().map(|(a, _)| a),
                    "endCursor": ends.as_ref().map(|(_, b)| b),
                });
                Ok(Got::plain("PageInfo", fields, Vec::new()))
            }
            _ => Err(String::new()),
        }
    }
}

impl Plain {
    fn field(&self, name: &str) -> Resolved {
        if let Some(value) = self.fields.get(name) {
            return leaf(value.clone());
        }
        let found = self.nodes.iter().find(|(n, _)| *n == name);
        found.map(|(_, got)| got.clone()).ok_or_default()
    }
}

trait OrDefault<T> {
    fn ok_or_default(self) -> Result<T, String>;
}

impl<T> OrDefault<T> for Option<T> {
    fn ok_or_default(self) -> Result<T, String> {
        self.ok_or_else(String::new)
    }
}
