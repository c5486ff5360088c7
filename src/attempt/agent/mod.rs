//! Coding agents as processes.
