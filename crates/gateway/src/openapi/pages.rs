//! The documents over HTTP, and pages to read them.
