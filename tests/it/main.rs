//! The program from outside.

mod mail;
