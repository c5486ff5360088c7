//! The run: its state, and what is to be done next. Pure: no I/O, no clock of its own.

pub mod order;
