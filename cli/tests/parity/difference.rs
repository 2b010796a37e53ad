//! One thing that is not as it was recorded, and what is different on purpose.

use serde_json::Value;
use std::fmt;

/// One thing that is not as it was recorded.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Difference {
    /// What is written: `contact`, `company`, `person event`, `object identify`, and so on; or `outcome`.
    pub(crate) of: &'static str,
    /// The path of the value, or a word.
    pub(crate) what: String,
    pub(crate) expected: Value,
    /// Null: there is none.
    pub(crate) ours: Value,
    /// What the recording ended with; null: nothing.
    pub(crate) error: Value,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {} there, {} here", self.of, self.what, self.expected, self.ours)
    }
}

/// Of what, which value, in which case, and why. The same stands, for people, in `docs/parity.md`.
pub(crate) struct Known {
    pub(crate) of: &'static str,
    pub(crate) what: &'static str,
    pub(crate) fits: fn(&Difference) -> bool,
    pub(crate) why: &'static str,
}

pub(crate) fn reason(known: &[Known], difference: &Difference) -> Option<&'static str> {
    let known = known.iter().find(|known| known.of == difference.of && known.what == difference.what && (known.fits)(difference));
    known.map(|known| known.why)
}
