//! What reaches the program through the environment, and what reaches the scripts.

use super::runner::{PROGRAM, Runner};
use super::{DECIDE, TARGET, VERSION, attempt};

#[test]
fn the_program_sees_no_input_and_only_the_token_it_may_have() {
    let mut runner = Runner::new();
    runner.release(VERSION, TARGET, PROGRAM);
    let marked = "m4rked";
    for name in [
        "GITHUB_TOKEN",
        "GH_TOKEN",
        "GITHUB_ENTERPRISE_TOKEN",
        "GH_ENTERPRISE_TOKEN",
        "ACTIONS_RUNTIME_TOKEN",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
        "INPUT_TOKEN",
        "PERTASK_ACTION_LATER",
    ] {
        runner.set(name, marked);
    }
    runner.set("GITHUB_ENV", "/env");
    runner.set("GITHUB_PATH", "/path");
    runner.set("AGENT_KEY", "kept");
    for (inputs, token) in [
        (DECIDE.to_vec(), Some("t0ken")),
        (attempt("fetch", &[("token", "t0ken")]), Some("t0ken")),
        (attempt("fetch", &[]), None),
        (attempt("agent", &[]), None),
        (attempt("checks", &[]), None),
        (attempt("pack", &[]), None),
    ] {
        let used = runner.uses(&inputs);
        assert_eq!(used.code, 0, "{}", used.log);
        let environment = runner.environment();
        let holding: Vec<_> = environment
            .iter()
            .filter(|(_, v)| v.contains(marked) || v.contains("t0ken"))
            .collect();
        let wanted = token.map(|t| ("GITHUB_TOKEN".to_owned(), t.to_owned()));
        assert_eq!(
            holding,
            wanted.iter().map(|(n, v)| (n, v)).collect::<Vec<_>>(),
            "{inputs:?}"
        );
        assert_eq!(environment["AGENT_KEY"], "kept");
        assert_eq!(
            environment["PERTASK_HOME"],
            runner.path("temp/pertask").display().to_string()
        );
        for name in environment.keys() {
            assert!(!name.starts_with("PERTASK_ACTION_"), "{name}");
            assert!(
                !["GITHUB_ENV", "GITHUB_PATH", "BASH_ENV"].contains(&name.as_str()),
                "{name}"
            );
        }
    }
}

#[test]
fn shells_take_nothing_from_the_environment() {
    let mut runner = Runner::new();
    runner.release(VERSION, TARGET, PROGRAM);
    runner.write("temp/evil", "touch \"$SAW/evil\"\n");
    for name in ["BASH_ENV", "ENV"] {
        runner.set(name, &runner.path("temp/evil").display().to_string());
    }
    // As bash 5 and bash 3.2 call an exported function.
    for name in ["curl", "sed", "is", "tar"] {
        for variable in [format!("BASH_FUNC_{name}%%"), name.to_owned()] {
            runner.set(&variable, "() { touch \"$SAW/evil\"; }");
        }
    }
    runner.set("SHELLOPTS", "noexec");
    runner.set("CDPATH", "/");
    let used = runner.uses(DECIDE);
    assert_eq!(used.code, 0, "{}", used.log);
    assert!(runner.arguments().is_some());
    assert!(!runner.path("saw/evil").exists());
}
