//! A small world: a database and a store in a temporary folder, an engine, and registries that do as told.

pub(crate) mod world;

pub(crate) use longshore_testkit::ScriptedRegistry;
pub(crate) use world::World;
