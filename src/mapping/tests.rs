//! Tests of whole mappings.
