//! The program as a person uses it: real processes, real sockets, files that are edited.

mod broker;
mod cluster;
mod commands;
mod operations;
mod process;
mod processes;
mod up;
