//! The workflows that carry runs on in GitHub Actions, as `git pertask init --github` writes them; pure.
//!
//! Safe against names that are no names: what comes from the settings reaches a workflow only as the name
//! of a secret, and one that GitHub would not take is left out.

use std::fmt::Write as _;

use crate::plan::{Adapter, AgentConfig};

/// The workflow that events start, from the repository's root.
pub const MAIN: &str = ".github/workflows/pertask.yml";
/// The workflow of one attempt, which that one calls.
pub const ORDER: &str = ".github/workflows/pertask-order.yml";

const MAIN_TEMPLATE: &str = include_str!("../templates/github/pertask.yml");
const ORDER_TEMPLATE: &str = include_str!("../templates/github/pertask-order.yml");

/// What of Claude Code is installed. The tests drive this very version.
const CLAUDE: &str = "@anthropic-ai/claude-code@2.1.330";
/// The same for Codex.
const CODEX: &str = "@openai/codex@0.169.0";

/// The workflows, path and text. `action` is what stands behind `uses:`; `name` and `agent` are the agent
/// to install.
#[must_use]
pub fn render(action: &str, name: &str, agent: &AgentConfig) -> [(&'static str, String); 2] {
    let keys = keys(agent);
    let fill = |template: &str| {
        template
            .replace("@ACTION@", action)
            .replace("@SECRETS_OF_CALL@\n", &passed(&keys))
            .replace("@SECRETS_OF_WORKFLOW@\n", &declared(&keys))
            .replace("@AGENT_INSTALL@\n", &install(name, agent.adapter))
            .replace("@AGENT_KEY@\n", &given(&keys))
    };
    [(MAIN, fill(MAIN_TEMPLATE)), (ORDER, fill(ORDER_TEMPLATE))]
}

/// Names of the secrets that an agent needs.
#[must_use]
pub fn keys(agent: &AgentConfig) -> Vec<String> {
    // An empty variable of this name would stand in the way of the others.
    let (usual, others) = match agent.adapter {
        Adapter::Claude => (
            Some("ANTHROPIC_API_KEY"),
            &["ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"][..],
        ),
        Adapter::Codex => (Some("OPENAI_API_KEY"), &["CODEX_API_KEY"][..]),
        Adapter::Command => (None, &[][..]),
    };
    let named = |name: &&str| agent.env.iter().any(|variable| variable == *name);
    let usual = usual.filter(|name| !named(name) && !others.iter().any(named));
    let own = agent.env.iter().filter(|name| is_secret_name(name));
    usual
        .map(str::to_owned)
        .into_iter()
        .chain(own.cloned())
        .collect()
}

/// As GitHub takes them: <https://docs.github.com/en/actions/reference/security/secrets>.
fn is_secret_name(name: &str) -> bool {
    let first = name.chars().next();
    first.is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !name.to_ascii_uppercase().starts_with("GITHUB_")
}

const APP_KEY: &str = "PERTASK_APP_KEY";

/// What the caller hands over.
fn passed(keys: &[String]) -> String {
    if keys.is_empty() {
        return format!(
            "    # EDIT: secrets:\n    #   MY_AGENT_KEY: ${{{{ secrets.MY_AGENT_KEY }}}}\n    #app secrets:\n    #app   {APP_KEY}: ${{{{ secrets.{APP_KEY} }}}}\n"
        );
    }
    let mut text = "    secrets:\n".to_owned();
    for key in keys {
        let _ = writeln!(text, "      {key}: ${{{{ secrets.{key} }}}}");
    }
    let _ = writeln!(text, "      #app {APP_KEY}: ${{{{ secrets.{APP_KEY} }}}}");
    text
}

/// What the called workflow may be handed.
fn declared(keys: &[String]) -> String {
    let app = |indent: &str| {
        format!(
            "{indent}#app {APP_KEY}:\n{indent}#app   description: Private key of the App\n{indent}#app   required: false\n"
        )
    };
    if keys.is_empty() {
        return format!(
            "    # EDIT: secrets:\n    #   MY_AGENT_KEY:\n    #     required: false\n    #app secrets:\n{}",
            app("    ").replace("#app ", "#app   ")
        );
    }
    // GitHub looks at `required` before the job is in its environment, so it would find none.
    let mut text =
        "    # Not `required`: that is looked at before the environment is.\n    secrets:\n"
            .to_owned();
    for key in keys {
        let _ = writeln!(
            text,
            "      {key}:\n        description: For the agent\n        required: false"
        );
    }
    text + &app("      ")
}

/// The step that puts the agent on the machine.
fn install(name: &str, adapter: Adapter) -> String {
    let package = match adapter {
        Adapter::Claude => CLAUDE,
        Adapter::Codex => CODEX,
        Adapter::Command => {
            return format!(
                "      # EDIT: install the agent {name}, in a version of your choice. Where an attacker may have\n      # written, in a cache or a file of the repository, is no place to take it from.\n      # - name: Install the agent\n      #   shell: bash\n      #   run: …\n"
            );
        }
    };
    format!(
        "      # EDIT: other agents that tasks name, and the version, which stays until you change it.\n      - name: Install the agent\n        shell: bash\n        # zizmor: ignore[adhoc-packages] a version on npm never changes, and no lock file is at hand\n        run: npm install --global {package}\n"
    )
}

/// The keys for the agent's step.
fn given(keys: &[String]) -> String {
    if keys.is_empty() {
        return "        # EDIT: env:\n        #   MY_AGENT_KEY: ${{ secrets.MY_AGENT_KEY }}\n"
            .to_owned();
    }
    let mut text = "        env:\n".to_owned();
    for key in keys {
        let _ = writeln!(text, "          {key}: ${{{{ secrets.{key} }}}}");
    }
    text
}

/// What stands behind `uses:` where a workflow decides: the action as it was written down there.
#[must_use]
pub fn action_in(workflow: &str) -> Option<&str> {
    let (_, rest) = workflow.split_once("\n        id: decide\n")?;
    let line = rest.lines().next()?.trim_start();
    line.strip_prefix("uses: ").map(str::trim_end)
}

/// Whether it uses the token of an App instead of `GITHUB_TOKEN`.
#[must_use]
pub fn uses_app(workflow: &str) -> bool {
    workflow
        .lines()
        .map(str::trim_start)
        .any(|line| !line.starts_with('#') && line.contains("actions/create-github-app-token"))
}

/// Whether two texts of a file are the same, however git ends their lines.
#[must_use]
pub fn same(one: &str, other: &str) -> bool {
    one.lines().eq(other.lines())
}

#[cfg(test)]
mod tests;
