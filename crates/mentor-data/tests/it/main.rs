//! Data sets of every form in temporary folders: what is read back, and how bad input is refused.
#![allow(clippy::unwrap_used, reason = "clippy's exception for tests reaches only test functions")]

mod arrays;
mod bad_images;
mod by_class;
mod class_names;
mod evaluation;
mod files;
mod folders;
mod idx;
mod image_store;
mod layouts;
mod left_out;
mod loading;
mod manifests;
mod pictures;
mod rand_augment;
mod shards;
mod splits;
mod unlabelled;
mod unreadable;
