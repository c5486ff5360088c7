//! Correcting course: `amend`, and a plan drafted by an agent.

mod support;

use support::{GOOD, Sandbox, TWO};

/// What has not started follows the base; what has keeps its definition; the next agents read the
/// amended documents.
#[test]
fn amend_applies_what_has_not_started() {
    let site = Sandbox::with(TWO, GOOD);
    site.pertask(["start", "wiz"]).code(0);
    let three = TWO
        .replace("The second of two", "Another purpose")
        .replace("The first of two", "Too late")
        + "\n[[task]]\nid = \"three\"\ntitle = \"Third file\"\nfile = \"three.txt\"\npurpose = \"New\"\n";
    site.plan(&three);
    site.write(".pertask/wiz/discovery.md", "# Found\n");
    site.commit("Change the plan");
    insta::assert_snapshot!(site.pertask(["amend", "--dry-run"]).text(), @r#"
exit 0
--- stdout
From main at [ID]:
- plan: inputs: [] → [".pertask/wiz/discovery.md"]
- task two: purpose: The second of two → Another purpose
- task three: new, three.txt
Not applied, because the task has started:
- task one: purpose: The first of two → Too late
--- stderr
"#);
    let before = site.refs();
    site.pertask(["amend", "--dry-run"]).code(0);
    assert_eq!(before, site.refs(), "a dry run records nothing");
    insta::assert_snapshot!(site.pertask(["amend"]).code(0).out(), @r#"
From main at [ID]:
- plan: inputs: [] → [".pertask/wiz/discovery.md"]
- task two: purpose: The second of two → Another purpose
- task three: new, three.txt
Not applied, because the task has started:
- task one: purpose: The first of two → Too late
Recorded. Go on: git pertask continue wiz
"#);
    insta::assert_snapshot!(site.pertask(["amend"]).code(0).out(), @r"
Nothing changes for what has not started; read from main at [ID].
Not applied, because the task has started:
- task one: purpose: The first of two → Too late
");
    site.pertask(["approve", "one"]).code(0);
    insta::assert_snapshot!(site.states("wiz"), @"one=merged two=review three=review");
    let prompt = site.pertask(["show", "wiz", "two"]).stdout;
    assert!(prompt.contains("Another purpose"), "{prompt}");
    let log = site.pertask(["log"]).stdout;
    assert!(log.contains("Plan amended by"), "{log}");
    assert!(
        site.files_at("pertask/wiz/2-two")
            .contains(".pertask/wiz/discovery.md")
    );
}

/// A plan with a fault is refused with its place, and nothing is recorded.
#[test]
fn amend_refuses_a_plan_with_a_fault() {
    let site = Sandbox::with(TWO, GOOD);
    site.pertask(["start", "wiz"]).code(0);
    site.plan(&TWO.replace("purpose = \"The second", "purpos = \"The second"));
    site.commit("Break the plan");
    let before = site.refs();
    let out = site.pertask(["amend"]).code(2);
    assert!(
        out.stderr.contains("did you mean `purpose`?"),
        "{}",
        out.stderr
    );
    assert_eq!(before, site.refs());
}

/// An ended run is not amended.
#[test]
fn amend_is_not_possible_at_the_end() {
    let site = Sandbox::with(TWO, GOOD);
    site.pertask(["start", "wiz"]).code(0);
    site.pertask(["abort"]).code(0);
    insta::assert_snapshot!(site.pertask(["amend", "wiz"]).code(2).err(), @"git-pertask: run wiz has ended; start anew: git pertask start wiz");
}

const DRAFTER: &str = r#"
cat > /dev/null
if [ "$PERTASK_ATTEMPT" = 1 ]; then extra='purpos = "x"'; else extra='purpose = "x"'; fi
cat > .pertask/wiz/plan.toml <<END
title = "Drafted"
[[task]]
id = "a"
title = "A"
file = "a.txt"
$extra
END
echo '{"status":"complete"}'
"#;

/// The first draft has a fault that the tool finds, the second is reviewed, merged and started from.
#[test]
fn an_agent_drafts_a_plan() {
    let site = Sandbox::new();
    site.agent(DRAFTER);
    site.write(
        ".pertask/wiz/architecture.md",
        "# Wiz\n\nOne file, `a.txt`.\n",
    );
    site.commit("Describe the job");
    site.pertask(["plan", "wiz", "--draft"]).code(0);
    insta::assert_snapshot!(site.states("wiz-draft"), @"plan=review");
    let log = site.pertask(["log", "wiz-draft"]).stdout;
    assert!(log.contains("so it cannot be started"), "{log}");
    site.pertask(["approve", "wiz-draft"]).code(0);
    site.git(["merge", "--quiet", "pertask/wiz-draft/main"]);
    let plan = site.pertask(["plan", "wiz"]).code(0).stdout;
    assert!(
        plan.contains("Tasks:  from .pertask/wiz/plan.toml"),
        "{plan}"
    );
    let out = site.pertask(["plan", "wiz", "--draft"]).code(2);
    assert!(out.stderr.contains("is there already"), "{}", out.stderr);
}

/// Nothing to draft from.
#[test]
fn a_draft_needs_documents() {
    let site = Sandbox::new();
    site.agent(DRAFTER);
    site.commit("An agent");
    insta::assert_snapshot!(site.pertask(["plan", "wiz", "--draft"]).code(2).err(), @"git-pertask: there is no document to draft a plan from: write .pertask/wiz/architecture.md and commit it");
}
