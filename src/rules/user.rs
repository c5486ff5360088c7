//! A team's own rules: `.pertask/rules/*.yml` in ast-grep's format
//! (<https://ast-grep.github.io/reference/yaml.html>).
//!
//! The rules are read from a commit by the caller. Comments such as `ast-grep-ignore` do not switch
//! a rule off: what an author writes cannot change what it is judged by. `fix` is read and not used.

use std::borrow::Cow;
use std::path::Path;
use std::str::FromStr;

use ast_grep_config::{Fixer, GlobalRules, RuleConfig, Severity};
use ast_grep_core::matcher::{PatternBuilder, PatternError};
use ast_grep_core::tree_sitter::{LanguageExt, StrDoc, TSLanguage};
use ast_grep_core::{Language as AstLanguage, Pattern};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use serde::{Deserialize, Deserializer, de};

use super::{Finding, SourceFile, by_id};
use crate::facts::syntax::Language;

/// A rule that a team has written.
pub struct UserRule {
    config: RuleConfig<Grammar>,
    files: Option<GlobSet>,
    ignores: Option<GlobSet>,
}

impl std::fmt::Debug for UserRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserRule")
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}

impl UserRule {
    /// Its id, as findings name it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.config.id
    }

    /// The text for prompts: the rule's message and note.
    #[must_use]
    pub fn prompt_text(&self) -> String {
        match &self.config.note {
            Some(note) => format!("{}\n{}", self.config.message.trim(), note.trim()),
            None => self.config.message.trim().to_owned(),
        }
    }

    /// Whether the rule judges a path: its language, its `files` and `ignores`.
    #[must_use]
    pub fn judges(&self, path: &str) -> bool {
        Language::of_path(path) == Some(self.config.language.0)
            && self.files.as_ref().is_none_or(|files| files.is_match(path))
            && !self
                .ignores
                .as_ref()
                .is_some_and(|ignores| ignores.is_match(path))
    }
}

/// A rule file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error(
    "{path}: {cause}; the format is described at https://ast-grep.github.io/reference/yaml.html"
)]
pub struct RuleFileError {
    /// The file.
    pub path: String,
    /// What is wrong with it, causes joined by `: `.
    pub cause: String,
}

/// Reads the rules of one file, which may hold several documents.
///
/// # Errors
/// When the YAML is none, a rule is not one of ast-grep's, its pattern does not parse in its
/// language, its language is unknown, it has no id or message, or its id is that of a shipped rule.
pub fn parse(path: &str, yaml: &str) -> Result<Vec<UserRule>, RuleFileError> {
    let problem = |cause: String| RuleFileError {
        path: path.to_owned(),
        cause,
    };
    let configs = ast_grep_config::from_yaml_string::<Grammar>(yaml, &GlobalRules::default())
        .map_err(|error| problem(chain(&error)))?;
    let mut rules: Vec<UserRule> = Vec::new();
    for config in configs {
        if config.id.is_empty() {
            return Err(problem("a rule has no `id`".to_owned()));
        }
        let id = config.id.clone();
        if by_id(&id).is_some() {
            return Err(problem(format!("the id `{id}` belongs to a shipped rule")));
        }
        if rules.iter().any(|rule| rule.id() == id) {
            return Err(problem(format!("the id `{id}` is used twice")));
        }
        if config.message.trim().is_empty() {
            return Err(problem(format!("the rule `{id}` has no `message`")));
        }
        // Rendering a message later takes for granted that it is a template.
        Fixer::from_str(&config.message, &config.language)
            .map_err(|cause| problem(format!("the message of `{id}`: {}", chain(&cause))))?;
        let globs = |globs: serde_json::Result<serde_json::Value>| {
            let globs = globs.map_err(|cause| problem(cause.to_string()))?;
            glob_set(&globs).map_err(|cause| problem(cause.to_string()))
        };
        let files = globs(serde_json::to_value(&config.files))?;
        let ignores = globs(serde_json::to_value(&config.ignores))?;
        if !matches!(config.severity, Severity::Off) {
            rules.push(UserRule {
                config,
                files,
                ignores,
            });
        }
    }
    Ok(rules)
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut words = vec![error.to_string().trim_end_matches('.').to_owned()];
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if words.last() != Some(&text) {
            words.push(text);
        }
        source = cause.source();
    }
    words.join(": ")
}

/// The globs of `files` or `ignores`, each a text or `{glob, caseInsensitive}`; ast-grep keeps their
/// type to itself, so they are read through their serialised form.
fn glob_set(globs: &serde_json::Value) -> Result<Option<GlobSet>, globset::Error> {
    let Some(globs) = globs.as_array() else {
        return Ok(None);
    };
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        let pattern = glob
            .as_str()
            .or_else(|| glob["glob"].as_str())
            .unwrap_or_default();
        let insensitive = glob["caseInsensitive"].as_bool().unwrap_or(false);
        let pattern = pattern.strip_prefix("./").unwrap_or(pattern);
        set.add(
            GlobBuilder::new(pattern)
                .case_insensitive(insensitive)
                .build()?,
        );
    }
    set.build().map(Some)
}

/// What the rules find in one file.
pub(super) fn check(file: &SourceFile<'_>, rules: &[UserRule]) -> Vec<Finding> {
    let mut rules = rules
        .iter()
        .filter(|rule| rule.judges(file.path))
        .peekable();
    let Some(first) = rules.peek() else {
        return Vec::new();
    };
    let Ok(document) = StrDoc::try_new(file.text, first.config.language) else {
        return Vec::new();
    };
    let root = ast_grep_core::AstGrep::doc(document);
    let mut findings = Vec::new();
    for rule in rules {
        for found in root.root().find_all(&rule.config.matcher) {
            let (line, column) =
                crate::facts::syntax::position_of(found.get_inner_node(), file.text);
            findings.push(Finding {
                rule: rule.id().to_owned(),
                file: file.path.to_owned(),
                line,
                column,
                message: rule.config.get_message(&found),
                hint: rule
                    .config
                    .note
                    .as_deref()
                    .unwrap_or_default()
                    .trim()
                    .to_owned(),
            });
        }
    }
    findings
}

/// One of our languages as ast-grep wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Grammar(Language);

impl Grammar {
    /// A character that the grammar takes as part of a name where it does not take `$`.
    fn expando(self) -> char {
        match self.0 {
            Language::Go | Language::Rust | Language::Python => 'µ',
            _ => '$',
        }
    }
}

impl FromStr for Grammar {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let language = match name.to_ascii_lowercase().as_str() {
            "go" | "golang" => Language::Go,
            "rust" | "rs" => Language::Rust,
            "typescript" | "ts" => Language::TypeScript,
            "tsx" => Language::Tsx,
            "javascript" | "js" | "jsx" => Language::JavaScript,
            "python" | "py" => Language::Python,
            "java" => Language::Java,
            _ => {
                return Err(format!(
                    "unknown language `{name}`; known are go, rust, typescript, tsx, javascript, \
                     python and java"
                ));
            }
        };
        Ok(Self(language))
    }
}

impl<'de> Deserialize<'de> for Grammar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

impl AstLanguage for Grammar {
    fn pre_process_pattern<'q>(&self, query: &'q str) -> Cow<'q, str> {
        let expando = self.expando();
        if expando == '$' {
            return Cow::Borrowed(query);
        }
        // `$A`, `$_` and `$$$` are ast-grep's; a lone `$` stays what it is.
        let mut out = String::with_capacity(query.len());
        let mut dollars = 0_usize;
        let flush = |out: &mut String, dollars: usize, is_variable: bool| {
            out.extend(std::iter::repeat_n(
                if is_variable { expando } else { '$' },
                dollars,
            ));
        };
        for c in query.chars() {
            if c == '$' {
                dollars += 1;
                continue;
            }
            flush(
                &mut out,
                dollars,
                matches!(c, 'A'..='Z' | '_') || dollars == 3,
            );
            dollars = 0;
            out.push(c);
        }
        flush(&mut out, dollars, dollars == 3);
        Cow::Owned(out)
    }

    fn expando_char(&self) -> char {
        self.expando()
    }

    fn from_path<P: AsRef<Path>>(path: P) -> Option<Self> {
        Language::of_path(path.as_ref().to_str()?).map(Self)
    }

    fn kind_to_id(&self, kind: &str) -> u16 {
        self.0.grammar().id_for_node_kind(kind, true)
    }

    fn field_to_id(&self, field: &str) -> Option<u16> {
        self.0
            .grammar()
            .field_id_for_name(field)
            .map(std::num::NonZero::get)
    }

    fn build_pattern(&self, builder: &PatternBuilder) -> Result<Pattern, PatternError> {
        builder.build(|source| StrDoc::try_new(source, *self))
    }
}

impl LanguageExt for Grammar {
    fn get_ts_language(&self) -> TSLanguage {
        self.0.grammar()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(yaml: &str, path: &str, text: &str) -> Vec<(u32, u32, String)> {
        let rules = parse("rules/a.yml", yaml).unwrap();
        check(&SourceFile { path, text }, &rules)
            .into_iter()
            .map(|f| (f.line, f.column, f.message))
            .collect()
    }

    #[test]
    fn finds_patterns_in_every_language() {
        let cases = [
            (
                "go",
                "a.go",
                "package a\nfunc f() { panic(\"x\") }\n",
                "panic($A)",
                (2, 12),
            ),
            (
                "rust",
                "a.rs",
                "fn f() {\n  g.unwrap();\n}\n",
                "$A.unwrap()",
                (2, 3),
            ),
            (
                "typescript",
                "a.ts",
                "const ä = 1; eval(x)",
                "eval($$$)",
                (1, 14),
            ),
            (
                "tsx",
                "a.tsx",
                "const a = <p>{eval(x)}</p>",
                "eval($A)",
                (1, 15),
            ),
            ("javascript", "a.js", "eval(x)", "eval($A)", (1, 1)),
            ("python", "a.py", "x = 1\nexec(x)\n", "exec($A)", (2, 1)),
            (
                "java",
                "A.java",
                "class A { void f() { System.exit(1); } }",
                "System.exit($A)",
                (1, 22),
            ),
        ];
        for (language, path, text, pattern, place) in cases {
            let yaml = format!(
                "id: no-call\nlanguage: {language}\nmessage: no $A\nnote: leave it out\nrule:\n  pattern: {pattern}\n"
            );
            let findings = found(&yaml, path, text);
            assert_eq!(findings.len(), 1, "{language}: {findings:?}");
            assert_eq!((findings[0].0, findings[0].1), place, "{language}");
            assert!(findings[0].2.starts_with("no "), "{language}");
        }
    }

    #[test]
    fn messages_name_what_was_matched_and_comments_switch_nothing_off() {
        let yaml = "id: no-panic\nlanguage: Go\nmessage: do not panic with $A\nrule: {pattern: panic($A)}\n";
        let text = "package a\nfunc f() {\n\t// ast-grep-ignore\n\tpanic(1)\n\t// panic(2)\n\t_ = \"panic(3)\"\n}\n";
        assert_eq!(
            found(yaml, "a.go", text),
            [(4, 2, "do not panic with 1".to_owned())]
        );
    }

    #[test]
    fn rules_may_be_shared_between_threads() {
        fn shared<T: Send + Sync>() {}
        shared::<UserRule>();
    }

    #[test]
    fn files_and_ignores_choose_paths() {
        let yaml = "id: r\nlanguage: go\nmessage: m\nrule: {pattern: f()}\nfiles: ['pkg/**']\nignores: ['**/*_test.go']\n";
        let rules = parse("r.yml", yaml).unwrap();
        assert!(rules[0].judges("pkg/a/b.go"));
        assert!(!rules[0].judges("pkg/a/b_test.go"));
        assert!(!rules[0].judges("cmd/b.go"));
        assert!(!rules[0].judges("pkg/a/b.py"));
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named_with_the_cause() {
        let cases = [
            ("id: [", "yaml"),
            (
                "id: a\nlanguage: cobol\nmessage: m\nrule: {pattern: x}\n",
                "unknown language `cobol`",
            ),
            (
                "id: a\nlanguage: go\nmessage: m\nrule: {kind: no_such_kind}\n",
                "no_such_kind",
            ),
            (
                "id: a\nlanguage: go\nmessage: m\nrule: {pattern: x}\nrules: 1\n",
                "rules",
            ),
            ("language: go\nmessage: m\nrule: {pattern: x}\n", "no `id`"),
            ("id: a\nlanguage: go\nrule: {pattern: x}\n", "no `message`"),
            (
                "id: vmfilter\nlanguage: go\nmessage: m\nrule: {pattern: x}\n",
                "shipped rule",
            ),
            (
                "id: a\nlanguage: go\nmessage: m\nrule: {pattern: x}\n---\nid: a\nlanguage: go\nmessage: m\nrule: {pattern: y}\n",
                "twice",
            ),
            (
                "id: a\nlanguage: go\nmessage: m\nrule: {pattern: x}\nfiles: ['[']\n",
                "[",
            ),
            (
                "id: a\nlanguage: go\nmessage: m\nrule: {pattern: ''}\n",
                "a.yml",
            ),
        ];
        for (yaml, cause) in cases {
            let error = parse(".pertask/rules/a.yml", yaml).unwrap_err().to_string();
            assert!(error.starts_with(".pertask/rules/a.yml: "), "{error}");
            assert!(
                error.to_lowercase().contains(&cause.to_lowercase()),
                "{yaml}: {error}"
            );
        }
        assert_eq!(parse("a.yml", "").unwrap().len(), 0);
        assert_eq!(
            parse(
                "a.yml",
                "id: a\nlanguage: go\nmessage: m\nseverity: off\nrule: {pattern: x}\n"
            )
            .unwrap()
            .len(),
            0
        );
    }
}
