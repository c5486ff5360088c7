use super::*;
use crate::report::sample;

#[test]
fn show_me() {
    let state = sample::midway();
    let item = state.item("client").unwrap();
    let plan = plan();
    let pulls = BTreeMap::new();
    let links = Links::new("https://github.com/o/r");
    let sheet = Sheet {
        state: &state,
        item,
        plan: &plan,
        result: None,
        pulls: &pulls,
        links: &links,
        kept_patch: None,
        author_may_approve: false,
        approvals: 1,
    };
    println!(
        "{}\n=====\n{}\n====\n{}",
        title(&state, item),
        body(&sheet),
        progress(&sheet)
    );
}
fn plan() -> Plan {
    serde_json::from_str(include_str!("../../../tests/formats/plan-1.json")).unwrap()
}
