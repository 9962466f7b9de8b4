//! Integration tests, one binary.

mod idx;
