//! Black-box tests of the shipped program: real `holdpoint` processes on loopback, spoken to through
//! the client crate and the command line.
//!
//! This package never reaches into a server's internals, never sleeps for a fixed time to let
//! something happen, and never leaves a process behind: every node is killed when its handle drops.

pub mod binary;
pub mod bundle;
pub mod cluster;
pub mod command;
pub mod deadline;
pub mod dev;
pub mod pages;
pub mod ports;
pub mod repository;
pub mod scratch;
pub mod shell;
pub mod worker;
