//! Restricting ourselves and becoming the program.

use std::ffi::OsString;

use super::{Landlock, Policy};

#[cfg(target_os = "linux")]
mod kernel {
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;
    use std::sync::OnceLock;

    use anyhow::{Context as _, bail};
    use landlock::{
        ABI, Access as _, AccessFs, BitFlags, CompatLevel, Compatible as _, PathBeneath, PathFd,
        Ruleset, RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, RulesetStatus, Scope,
    };

    use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};

    use super::super::grants::DEVICES;
    use super::{Landlock, OsString, Policy};

    /// The newest interface whose rights we ask for.
    const NEWEST: ABI = ABI::V9;

    pub(super) fn available() -> Option<Landlock> {
        static FOUND: OnceLock<Option<Landlock>> = OnceLock::new();
        *FOUND.get_or_init(|| {
            let probes = [
                (9, AccessFs::from_all(ABI::V9), BitFlags::EMPTY),
                (6, AccessFs::from_all(ABI::V5), Scope::from_all(ABI::V6)),
                (5, AccessFs::from_all(ABI::V5), BitFlags::EMPTY),
                (3, AccessFs::from_all(ABI::V3), BitFlags::EMPTY),
                (2, AccessFs::from_all(ABI::V2), BitFlags::EMPTY),
                (1, AccessFs::from_all(ABI::V1), BitFlags::EMPTY),
            ];
            let works = |files: BitFlags<AccessFs>, scope: BitFlags<Scope>| {
                let mut rules = Ruleset::default()
                    .set_compatibility(CompatLevel::HardRequirement)
                    .handle_access(files)?;
                if !scope.is_empty() {
                    rules = rules.scope(scope)?;
                }
                rules.create()
            };
            let found = probes.iter().find(|(_, f, s)| works(*f, *s).is_ok());
            found.map(|(abi, _, _)| Landlock { abi: *abi })
        })
    }

    fn grant(
        rules: RulesetCreated,
        path: &std::path::Path,
        access: BitFlags<AccessFs>,
    ) -> anyhow::Result<RulesetCreated> {
        let (Ok(file), Ok(meta)) = (PathFd::new(path), path.metadata()) else {
            return Ok(rules);
        };
        let access = if meta.is_dir() {
            access
        } else {
            access & AccessFs::from_file(NEWEST)
        };
        rules
            .add_rule(PathBeneath::new(file, access))
            .with_context(|| format!("granting {}", path.display()))
    }

    fn restrict(policy: &Policy) -> anyhow::Result<()> {
        let read = AccessFs::from_read(NEWEST);
        // Whoever may make devices, root that is, would read the disk through one.
        let write = AccessFs::from_all(NEWEST)
            & !(AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev);
        let device = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::Truncate;
        let mut rules = Ruleset::default()
            .set_compatibility(CompatLevel::HardRequirement)
            .handle_access(AccessFs::from_all(ABI::V1))?
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(NEWEST))?
            .scope(Scope::from_all(ABI::V6))?
            .create()?
            .set_compatibility(CompatLevel::BestEffort);
        for path in &policy.read {
            rules = grant(rules, path, read)?;
        }
        for path in &policy.write {
            rules = grant(rules, path, write)?;
        }
        for path in DEVICES {
            rules = grant(rules, path.as_ref(), device)?;
        }
        let status = rules.restrict_self()?;
        if status.ruleset == RulesetStatus::NotEnforced || !status.no_new_privs {
            bail!("the kernel does not enforce it");
        }
        // Root's powers go around Landlock: CAP_PERFMON reads the memory of any process, another
        // loads code into the kernel. Taken now, they do not come back: no new privileges.
        let none = CapabilitySets {
            effective: CapabilitySet::empty(),
            permitted: CapabilitySet::empty(),
            inheritable: CapabilitySet::empty(),
        };
        set_capabilities(None, none).context("giving up capabilities")
    }

    pub(super) fn confine(policy: &Policy, command: &[OsString]) -> anyhow::Error {
        let Some((program, arguments)) = command.split_first() else {
            return anyhow::anyhow!("there is no program to confine");
        };
        if let Err(error) = restrict(policy) {
            return error.context("the program cannot be confined, and is not started");
        }
        let mut command = Command::new(program);
        command.args(arguments).envs(&policy.set);
        for name in &policy.unset {
            command.env_remove(name);
        }
        let shown = program.to_string_lossy();
        anyhow::Error::new(command.exec()).context(format!("starting {shown}, confined"))
    }
}

#[cfg(not(target_os = "linux"))]
mod kernel {
    use super::{Landlock, OsString, Policy};

    pub(super) fn available() -> Option<Landlock> {
        None
    }

    pub(super) fn confine(_: &Policy, _: &[OsString]) -> anyhow::Error {
        anyhow::anyhow!("only Linux can confine programs")
    }
}

/// The kernel's Landlock, looked for once; `None` where it has none, or has it switched off.
#[must_use]
pub fn available() -> Option<Landlock> {
    kernel::available()
}

/// Restricts this process to a policy and becomes the program that `command` names with its
/// arguments. Returns only when that failed: then the process may be restricted, and the program
/// was not started.
#[must_use]
pub fn confine(policy: &Policy, command: &[OsString]) -> anyhow::Error {
    kernel::confine(policy, command)
}
