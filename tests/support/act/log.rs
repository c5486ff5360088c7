//! What act says of a run, read from its log: one JSON document a line.

use serde_json::Value;

/// A job that ran. Skipped ones are not in the log.
#[derive(Debug, Clone, Default)]
pub struct Job {
    /// Its id; that of a called workflow's after that of the calling job: `order-1/attempt`.
    pub name: String,
    /// `success` or `failure`; empty when it did not come to its end.
    pub result: String,
    /// Its steps: name or first line, and result.
    pub steps: Vec<(String, String)>,
    /// Outputs of its steps.
    pub outputs: Vec<(String, String)>,
    /// What its steps wrote into the job summary.
    pub summary: String,
    /// Workflow commands that it gave: `error`, `warning`, `group`…, with properties and text.
    pub commands: Vec<(String, String)>,
    /// Lines that look like commands but were not obeyed, between `stop-commands` and its end.
    pub ignored: Vec<String>,
    /// What its steps printed.
    pub text: String,
}

impl Job {
    /// The value of an output.
    #[track_caller]
    pub fn output(&self, name: &str) -> &str {
        let found = self.outputs.iter().rev().find(|(key, _)| key == name);
        let (_, value) = found.unwrap_or_else(|| panic!("{} has no output {name}", self.name));
        value
    }
}

/// The jobs of a log, in the order of their starts.
pub fn jobs(log: &str) -> Vec<Job> {
    let mut jobs: Vec<(String, Job)> = Vec::new();
    for line in log.lines() {
        let Ok(line) = serde_json::from_str::<Value>(line) else {
            continue;
        };
        let text = |key: &str| line[key].as_str().unwrap_or_default();
        let full = text("job").trim();
        if full.is_empty() {
            continue;
        }
        let at = jobs.iter().position(|(known, _)| known == full);
        let at = at.unwrap_or_else(|| {
            let name = name(full, text("jobID"));
            jobs.push((
                full.to_owned(),
                Job {
                    name,
                    ..Job::default()
                },
            ));
            jobs.len() - 1
        });
        read(&mut jobs[at].1, &line);
    }
    jobs.into_iter().map(|(_, job)| job).collect()
}

/// `workflow/job`, or `calling job/workflow/job`.
fn name(full: &str, id: &str) -> String {
    match full.split('/').collect::<Vec<_>>()[..] {
        [calling, .., _] if full.matches('/').count() > 1 => format!("{calling}/{id}"),
        _ => id.to_owned(),
    }
}

fn read(job: &mut Job, line: &Value) {
    let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
    if line["raw_output"] == true {
        job.text.push_str(&text("msg"));
    }
    if line["jobResult"].is_string() {
        job.result = text("jobResult");
    }
    let depth = line["stepID"].as_array().map_or(0, Vec::len);
    if line["stepResult"].is_string() && line["stage"] == "Main" && depth == 1 {
        let name = text("step");
        let first = name.lines().next().unwrap_or_default().to_owned();
        job.steps.push((first, text("stepResult")));
    }
    match line["command"].as_str() {
        // Steps of a composite action share the file of the step that uses it.
        Some("summary") if depth == 1 => job.summary.push_str(&text("content")),
        Some("ignored") => job.ignored.push(text("raw").trim_end().to_owned()),
        Some("set-output") if line["name"].is_string() => {
            job.outputs.push((text("name"), text("arg")));
        }
        Some(command) if line["raw"].is_string() => {
            let (_, rest) = line["raw"].as_str().unwrap().split_at(2);
            let rest = rest.trim_end().strip_prefix(command).unwrap_or(rest);
            job.commands
                .push((command.to_owned(), rest.trim().to_owned()));
        }
        _ => {}
    }
}
