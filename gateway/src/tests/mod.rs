//! Tests through the whole router.
