//! The directory API of the running program: who may do what, what it answers, and how it looks to Microsoft's SDK.

mod access;
mod api;
mod batches;
mod changes;
mod curl;
mod inviting;
mod listing;
mod options;
mod paths;
mod people;
mod recorder;
mod schema;
mod sdk;
mod tenants;
