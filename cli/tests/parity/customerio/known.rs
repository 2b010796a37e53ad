//! What is different on purpose, and why. The same stands, for people, in `docs/parity.md`.

use crate::difference::Known;
use serde_json::Value;

pub(super) const KNOWN: &[Known] = &[];
