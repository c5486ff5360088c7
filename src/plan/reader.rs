//! Reads TOML by a table of keys, so that every problem is found at once and has a place, and so
//! that the published JSON Schemas are made of the very table the reader uses.
//!
//! Safe against any input: unknown keys, wrong types, numbers out of range and syntax errors all
//! become diagnostics.

use std::collections::BTreeMap;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::{At, Diagnostic, Diagnostics, Document, Sited, suggest};
use super::params::Params;

/// A string with its place.
pub type Text = Sited<String>;

/// An argument list with its place.
pub type Command = Sited<Vec<String>>;

/// One key of a table.
#[derive(Debug)]
pub struct Key {
    /// As written in the file.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// For people, in the JSON Schema.
    pub about: &'static str,
}

/// What a key holds.
#[derive(Debug)]
pub enum Kind {
    /// A string.
    Text,
    /// A string that must be there.
    Required,
    /// `true` or `false`.
    Flag,
    /// A whole number from 1.
    Count,
    /// US dollars, more than zero.
    Money,
    /// A duration like `10m` or `1h 30m`, in seconds.
    Duration,
    /// A list of strings.
    Texts,
    /// One argument list.
    Command,
    /// A list of argument lists.
    Commands,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A table.
    Table(&'static [Key]),
    /// A list of tables, `[[key]]`.
    Tables(&'static [Key]),
    /// A table or a list of tables.
    TableOrTables(&'static [Key], &'static [Key]),
    /// Tables under names of the user's choice, `[key.NAME]`.
    Named(&'static [Key]),
}

/// Longest duration: 30 days.
pub const LONGEST_DURATION_S: u64 = 30 * 24 * 3600;

#[derive(Debug)]
enum Value {
    Text(String),
    Flag(bool),
    Count(u32),
    Money(f64),
    Seconds(u64),
    Texts(Vec<Text>),
    Command(Vec<String>),
    Commands(Vec<Command>),
    Table(Table),
    Tables(Vec<Table>),
    Named(Vec<(Text, Table)>),
}

/// A table that was read; what could not be read was reported and is absent.
#[derive(Debug)]
pub struct Table {
    /// The table's own place: its header.
    pub at: At,
    values: BTreeMap<&'static str, Sited<Value>>,
    broken: Vec<&'static str>,
}

macro_rules! getter {
    ($(#[$doc:meta])* $name:ident, $variant:ident, $type:ty) => {
        $(#[$doc])*
        pub fn $name(&mut self, key: &str) -> Option<Sited<$type>> {
            let Sited { value, at } = self.values.remove(key)?;
            match value {
                Value::$variant(value) => Some(Sited { value, at }),
                _ => None,
            }
        }
    };
}

impl Table {
    getter!(
        /// Takes a string.
        text, Text, String);
    getter!(
        /// Takes a flag.
        flag, Flag, bool);
    getter!(
        /// Takes a number from 1.
        count, Count, u32);
    getter!(
        /// Takes an amount in US dollars.
        money, Money, f64);
    getter!(
        /// Takes a duration in seconds.
        seconds, Seconds, u64);
    getter!(
        /// Takes a list of strings.
        texts, Texts, Vec<Text>);
    getter!(
        /// Takes an argument list.
        command, Command, Vec<String>);
    getter!(
        /// Takes a list of argument lists.
        commands, Commands, Vec<Command>);
    getter!(
        /// Takes a list of tables.
        tables, Tables, Vec<Table>);
    getter!(
        /// Takes named tables, sorted by name.
        named, Named, Vec<(Text, Table)>);

    /// Whether a key was written, but wrongly, and reported.
    #[must_use]
    pub fn broken(&self, key: &str) -> bool {
        self.broken.contains(&key)
    }

    /// Takes a table.
    pub fn table(&mut self, key: &str) -> Option<Table> {
        if !matches!(self.values.get(key)?.value, Value::Table(_)) {
            return None;
        }
        match self.values.remove(key)?.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }
}

/// Reads a document by its keys. `params` fills every string in; without it strings are taken as
/// they are. Problems go to `out`; `None` only when the syntax is broken.
pub fn read(
    document: &Arc<Document>,
    keys: &'static [Key],
    params: Option<&mut Params>,
    out: &mut Diagnostics,
) -> Option<Table> {
    let mut reader = Reader {
        document,
        params,
        out,
    };
    let (table, errors) = DeTable::parse_recoverable(&document.text);
    if !errors.is_empty() {
        for error in errors {
            let at = reader.at(&error.span().unwrap_or(0..0));
            reader
                .out
                .error(&at, format!("this is not TOML: {}", error.message()));
        }
        return None;
    }
    let at = reader.at(&(0..0));
    Some(reader.table(table.get_ref(), at, keys))
}

struct Reader<'a> {
    document: &'a Arc<Document>,
    params: Option<&'a mut Params>,
    out: &'a mut Diagnostics,
}

impl Reader<'_> {
    fn at(&self, span: &std::ops::Range<usize>) -> At {
        At {
            document: Arc::clone(self.document),
            span: span.clone(),
        }
    }

    fn table(&mut self, table: &DeTable<'_>, at: At, keys: &'static [Key]) -> Table {
        let (mut values, mut broken) = (BTreeMap::new(), Vec::new());
        for (name, value) in table {
            let key_at = self.at(&name.span());
            let Some(key) = keys.iter().find(|key| key.name == name.get_ref().as_ref()) else {
                let known: Vec<&str> = keys.iter().map(|key| key.name).collect();
                let name = name.get_ref();
                let help = match suggest(name, known.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("known here are {}", known.join(", ")),
                };
                self.out
                    .push(Diagnostic::error(&key_at, format!("unknown key `{name}`")).help(help));
                continue;
            };
            let at = self.at(&value.span());
            if let Some(value) = self.value(key, value, &at) {
                values.insert(key.name, Sited { value, at });
            } else {
                broken.push(key.name);
            }
        }
        for key in keys.iter().filter(|key| matches!(key.kind, Kind::Required)) {
            if !table.keys().any(|name| name.get_ref() == key.name) {
                self.out.error(&at, format!("`{}` is missing", key.name));
            }
        }
        Table { at, values, broken }
    }

    fn value(&mut self, key: &Key, value: &Spanned<DeValue<'_>>, at: &At) -> Option<Value> {
        let name = key.name;
        Some(match (&key.kind, value.get_ref()) {
            (Kind::Text | Kind::Required, DeValue::String(text)) => {
                Value::Text(self.fill(text, at).value)
            }
            (Kind::Flag, DeValue::Boolean(flag)) => Value::Flag(*flag),
            (Kind::Count, DeValue::Integer(number)) => Value::Count(self.count(name, number, at)?),
            (Kind::Money, DeValue::Integer(number)) => {
                Value::Money(self.money(name, number.as_str(), at)?)
            }
            (Kind::Money, DeValue::Float(number)) => {
                Value::Money(self.money(name, number.as_str(), at)?)
            }
            (Kind::Duration, DeValue::String(text)) => {
                let text = self.fill(text, at);
                Value::Seconds(self.duration(name, &text)?)
            }
            (Kind::Texts, DeValue::Array(list)) => {
                let list: Vec<&Spanned<DeValue<'_>>> = list.iter().collect();
                Value::Texts(self.texts(name, &list)?)
            }
            (Kind::Command, DeValue::Array(list)) => {
                let list: Vec<&Spanned<DeValue<'_>>> = list.iter().collect();
                Value::Command(self.command(name, &list, at)?)
            }
            (Kind::Commands, DeValue::Array(list)) => {
                let mut commands = Vec::new();
                for item in list {
                    let at = self.at(&item.span());
                    let DeValue::Array(words) = item.get_ref() else {
                        self.wrong(
                            name,
                            "a list of argument lists, like [[\"go\", \"build\"]]",
                            item,
                            &at,
                        );
                        continue;
                    };
                    let words: Vec<&Spanned<DeValue<'_>>> = words.iter().collect();
                    if let Some(value) = self.command(name, &words, &at) {
                        commands.push(Sited { value, at });
                    }
                }
                Value::Commands(commands)
            }
            (Kind::Choice(words), DeValue::String(text)) => {
                let text = self.fill(text, at).value;
                if !words.contains(&text.as_str()) {
                    let help = match suggest(&text, words.iter().copied()) {
                        Some(near) => format!("did you mean \"{near}\"?"),
                        None => format!("use one of {}", words.join(", ")),
                    };
                    self.out.push(
                        Diagnostic::error(at, format!("`{name}` cannot be \"{text}\"")).help(help),
                    );
                    return None;
                }
                Value::Text(text)
            }
            (Kind::Table(keys) | Kind::TableOrTables(keys, _), DeValue::Table(table)) => {
                Value::Table(self.table(table, at.clone(), keys))
            }
            (Kind::Tables(keys) | Kind::TableOrTables(_, keys), DeValue::Array(list)) => {
                let mut tables = Vec::new();
                for item in list {
                    let at = self.at(&item.span());
                    match item.get_ref() {
                        DeValue::Table(table) => tables.push(self.table(table, at, keys)),
                        _ => self.wrong(name, "a list of tables", item, &at),
                    }
                }
                Value::Tables(tables)
            }
            (Kind::Named(keys), DeValue::Table(table)) => {
                let mut named = Vec::new();
                for (name, item) in table {
                    let text = Sited {
                        value: name.get_ref().to_string(),
                        at: self.at(&name.span()),
                    };
                    let at = self.at(&item.span());
                    match item.get_ref() {
                        DeValue::Table(table) => {
                            named.push((text, self.table(table, at, keys)));
                        }
                        _ => self.wrong(&text.value, "a table", item, &at),
                    }
                }
                Value::Named(named)
            }
            (kind, _) => {
                self.wrong(name, &kind.wanted(), value, at);
                return None;
            }
        })
    }

    fn wrong(&mut self, name: &str, wanted: &str, value: &Spanned<DeValue<'_>>, at: &At) {
        let given = value.get_ref().type_str();
        let article = if given.starts_with(['a', 'i']) {
            "an"
        } else {
            "a"
        };
        self.out.error(
            at,
            format!("`{name}` must be {wanted}, not {article} {given}"),
        );
    }

    fn fill(&mut self, text: &str, at: &At) -> Text {
        let text = Sited {
            value: text.to_owned(),
            at: at.clone(),
        };
        match &mut self.params {
            Some(params) => params.fill(text, self.out),
            None => text,
        }
    }

    fn count(&mut self, name: &str, number: &toml::de::DeInteger<'_>, at: &At) -> Option<u32> {
        let value = i64::from_str_radix(number.as_str(), number.radix()).ok();
        let value = value
            .and_then(|value| u32::try_from(value).ok())
            .filter(|value| *value > 0);
        if value.is_none() {
            let message = format!("`{name}` must be a whole number from 1 to {}", u32::MAX);
            self.out.error(at, message);
        }
        value
    }

    fn money(&mut self, name: &str, number: &str, at: &At) -> Option<f64> {
        let value = number
            .parse()
            .ok()
            .filter(|value: &f64| value.is_finite() && *value > 0.0);
        if value.is_none() {
            self.out.error(
                at,
                format!("`{name}` must be an amount in US dollars above zero"),
            );
        }
        value
    }

    fn duration(&mut self, name: &str, text: &Text) -> Option<u64> {
        let Ok(duration) = text.value.trim().parse::<jiff::SignedDuration>() else {
            self.out.push(
                Diagnostic::error(&text.at, format!("`{name}` is not a duration"))
                    .help("write it like \"90s\", \"10m\" or \"1h 30m\""),
            );
            return None;
        };
        let fraction = i64::from(duration.subsec_nanos() > 0);
        let seconds = duration
            .as_secs()
            .checked_add(fraction)
            .and_then(|s| u64::try_from(s).ok());
        let seconds = seconds.filter(|s| (1..=LONGEST_DURATION_S).contains(s));
        if seconds.is_none() {
            self.out.error(
                &text.at,
                format!("`{name}` must be between a second and 720 hours"),
            );
        }
        seconds
    }

    fn texts(&mut self, name: &str, list: &[&Spanned<DeValue<'_>>]) -> Option<Vec<Text>> {
        let mut texts = Vec::with_capacity(list.len());
        for item in list {
            let at = self.at(&item.span());
            match item.get_ref() {
                DeValue::String(text) => texts.push(self.fill(text, &at)),
                _ => self.wrong(name, "a list of strings", item, &at),
            }
        }
        (texts.len() == list.len()).then_some(texts)
    }

    fn command(
        &mut self,
        name: &str,
        list: &[&Spanned<DeValue<'_>>],
        at: &At,
    ) -> Option<Vec<String>> {
        let words: Vec<String> = self
            .texts(name, list)?
            .into_iter()
            .map(|word| word.value)
            .collect();
        if words
            .first()
            .is_none_or(|program| program.trim().is_empty())
        {
            self.out.push(
                Diagnostic::error(at, format!("`{name}` has an empty command"))
                    .help("a command is an argument list with the program first: [\"go\", \"build\", \"./...\"]"),
            );
            return None;
        }
        if words.iter().any(|word| word.contains('\0')) {
            self.out
                .error(at, format!("`{name}` has a command with a NUL character"));
            return None;
        }
        Some(words)
    }
}

impl Kind {
    fn wanted(&self) -> String {
        let wanted = match self {
            Self::Text | Self::Required => "a string",
            Self::Choice(words) => return format!("one of \"{}\"", words.join("\", \"")),
            Self::Flag => "true or false",
            Self::Count => "a whole number",
            Self::Money => "an amount in US dollars",
            Self::Duration => "a duration as a string, like \"10m\"",
            Self::Texts => "a list of strings",
            Self::Command => "an argument list, like [\"go\", \"build\"]",
            Self::Commands => "a list of argument lists, like [[\"go\", \"build\"]]",
            Self::Table(_) | Self::Named(_) => "a table",
            Self::Tables(_) => "a list of tables",
            Self::TableOrTables(..) => "a table or a list of tables",
        };
        wanted.to_owned()
    }
}
