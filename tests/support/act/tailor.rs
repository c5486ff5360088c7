//! What GitHub makes of a workflow file before it runs it and act does not: tokens that may do what
//! the job's `permissions` say and no more, secrets of an environment only in jobs that name it.
//!
//! Workflow files are read line by line, for those that this repository writes: two spaces a level.
//! What is not understood fails the test.

use std::collections::{BTreeMap, BTreeSet};

/// `contents` → `write`.
pub type Permissions = BTreeMap<String, String>;

/// A job of a workflow file.
#[derive(Debug)]
pub struct Job {
    pub id: String,
    /// The lines of it, the first of which is its id.
    lines: std::ops::Range<usize>,
    pub permissions: Permissions,
    pub environment: Option<String>,
    /// The workflow that it calls.
    pub calls: Option<String>,
}

/// A workflow file, taken apart.
pub struct Workflow {
    lines: Vec<String>,
    pub jobs: Vec<Job>,
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

fn blank(line: &str) -> bool {
    let line = line.trim_start();
    line.is_empty() || line.starts_with('#')
}

/// The value of a key, without its comment and quotes.
fn value(line: &str) -> &str {
    let (_, value) = line.split_once(':').unwrap();
    let value = value.split(" #").next().unwrap_or_default();
    value.trim().trim_matches(['"', '\''])
}

/// Keys of a mapping that begins at this line: `{}`, `{a: b}` or lines that are deeper.
fn mapping(lines: &[String], at: usize) -> Permissions {
    let inline = value(&lines[at]);
    let pair = |text: &str| {
        let (key, _) = text
            .split_once(':')
            .unwrap_or_else(|| panic!("not a key: {text}"));
        (key.trim().to_owned(), value(text).to_owned())
    };
    if let Some(inner) = inline.strip_prefix('{') {
        let inner = inner.trim_end_matches('}').split(',');
        return inner
            .filter(|one| !one.trim().is_empty())
            .map(pair)
            .collect();
    }
    assert!(
        inline.is_empty(),
        "permissions are named one by one: {inline}"
    );
    let depth = indent(&lines[at]);
    let below = lines[at + 1..].iter().filter(|line| !blank(line));
    below
        .take_while(|line| indent(line) > depth)
        .map(|line| pair(line))
        .collect()
}

impl Workflow {
    /// Takes a file apart.
    pub fn read(name: &str, text: &str) -> Self {
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let top = |key: &str| lines.iter().position(|line| line.starts_with(key));
        let start = top("jobs:").unwrap_or_else(|| panic!("{name} has no jobs")) + 1;
        let after = lines[start..]
            .iter()
            .position(|line| !blank(line) && indent(line) == 0);
        let end = after.map_or(lines.len(), |after| start + after);
        let heads: Vec<usize> = (start..end)
            .filter(|at| !blank(&lines[*at]) && indent(&lines[*at]) == 2)
            .collect();
        let jobs = heads.iter().enumerate().map(|(nth, from)| {
            let to = heads.get(nth + 1).copied().unwrap_or(end);
            let id = lines[*from].trim().trim_end_matches(':').to_owned();
            let key = |key: &str| {
                let key = format!("    {key}:");
                (*from..to).find(|at| lines[*at].starts_with(&key))
            };
            let granted = key("permissions").or_else(|| top("permissions:"));
            let granted = granted.unwrap_or_else(|| panic!("{name}: {id} has no permissions"));
            let environment = key("environment").map(|at| match value(&lines[at]) {
                "" => {
                    let name = &lines[at + 1];
                    assert!(name.trim().starts_with("name:"), "{name}");
                    value(name).to_owned()
                }
                name => name.to_owned(),
            });
            Job {
                permissions: mapping(&lines, granted),
                environment,
                calls: key("uses").map(|at| value(&lines[at]).to_owned()),
                lines: *from..to,
                id,
            }
        });
        Self {
            jobs: jobs.collect(),
            lines,
        }
    }

    /// Replaces words in the expressions of a job.
    pub fn replace(&mut self, job: usize, from: &str, to: &str) {
        for line in &mut self.lines[self.jobs[job].lines.clone()] {
            if !blank(line) {
                *line = replace_word(line, from, to);
            }
        }
    }

    /// Leaves steps out: this is where the machine was lost.
    pub fn skip_steps(&mut self, names: &[String]) {
        for name in names {
            let first = format!("- name: {name}");
            let Some(at) = self.lines.iter().position(|line| line.trim() == first) else {
                continue;
            };
            let depth = indent(&self.lines[at]);
            let rest = &mut self.lines[at + 1..];
            let mut inner = rest
                .iter_mut()
                .take_while(|line| blank(line) || indent(line) > depth);
            if let Some(line) = inner.find(|line| line.trim().starts_with("if:")) {
                line.clear();
            }
            let gap = " ".repeat(depth + 2);
            self.lines.insert(at + 1, format!("{gap}if: false"));
            // The lines of jobs behind it have moved.
            for job in &mut self.jobs {
                job.lines.start += usize::from(job.lines.start > at);
                job.lines.end += usize::from(job.lines.end > at);
            }
        }
    }

    /// act works out the matrix of a job that is skipped, too, where what it needs was skipped and has
    /// no outputs.
    pub fn mind_empty_matrices(&mut self) {
        for line in &mut self.lines {
            let Some((before, rest)) = line.split_once("include: ${{ fromJSON(needs.") else {
                continue;
            };
            let (job, _) = rest.split_once('.').unwrap();
            let (output, _) = rest.split_once(')').unwrap();
            *line = format!(
                "{before}include: ${{{{ fromJSON(needs.{job}.result != 'skipped' && needs.{output} \
                 || '[]') }}}}"
            );
        }
    }

    /// Adds a step to the end of each job that has steps.
    pub fn add_step(&mut self, step: &str) {
        for job in self.jobs.iter().rev() {
            if job.calls.is_some() {
                continue;
            }
            let block = &self.lines[job.lines.clone()];
            let mut keys = block
                .iter()
                .filter(|line| !blank(line) && indent(line) == 4);
            let last = keys.next_back().unwrap();
            assert_eq!(last.trim(), "steps:", "the steps of {} come last", job.id);
            let end = block.iter().rposition(|line| !blank(line)).unwrap();
            let at = job.lines.start + end + 1;
            let added = step.lines().map(|line| format!("      {line}"));
            self.lines.splice(at..at, added);
        }
    }

    /// The actions that its steps use, with the inputs given to them.
    pub fn actions(&self) -> Vec<(String, BTreeSet<String>)> {
        let mut found = Vec::new();
        for (at, line) in self.lines.iter().enumerate() {
            let Some((before, action)) = line.split_once("uses: ") else {
                continue;
            };
            if !before.trim_matches([' ', '-']).is_empty() || before.len() < 6 {
                continue;
            }
            let action = action.split_whitespace().next().unwrap().to_owned();
            let inside = |line: &&String| blank(line) || indent(line) >= before.len();
            let rest: Vec<&String> = self.lines[at + 1..].iter().take_while(inside).collect();
            let with = rest.iter().position(|line| line.trim() == "with:");
            let inputs = with.map(|with| {
                let depth = indent(rest[with]);
                let lines = rest[with + 1..].iter().filter(|line| !blank(line));
                let lines = lines.take_while(|line| indent(line) > depth);
                let direct = lines.filter(|line| indent(line) == depth + 2);
                direct
                    .map(|line| line.trim().split(':').next().unwrap().to_owned())
                    .collect()
            });
            found.push((action, inputs.unwrap_or_default()));
        }
        found
    }

    /// The file.
    pub fn text(&self) -> String {
        self.lines.iter().map(|line| format!("{line}\n")).collect()
    }
}

fn replace_word(line: &str, from: &str, to: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find(from) {
        let (before, after) = (&rest[..at], &rest[at + from.len()..]);
        let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        let whole = !before.ends_with(word) && !after.starts_with(word);
        out.push_str(before);
        out.push_str(if whole { to } else { from });
        rest = after;
    }
    out + rest
}

/// Fails when a called workflow's job asks for more than the calling job may give: GitHub does not
/// start such a workflow.
pub fn check_granted(calling: &Job, called: &Job) {
    for (scope, access) in &called.permissions {
        let given = calling
            .permissions
            .get(scope)
            .map_or("none", String::as_str);
        assert!(
            access == "none" || given == "write" || given == access,
            "{} is called with {scope}: {given}, but its job {} asks for {access}",
            calling.calls.as_deref().unwrap_or_default(),
            called.id
        );
    }
}
