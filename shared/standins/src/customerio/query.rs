//! Parameters of a request's query.

use percent_encoding::percent_decode_str;

/// A parameter of a query, decoded as forms are: `+` is a space.
pub(crate) fn parameter(query: Option<&str>, name: &str) -> Option<String> {
    let value = query?.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name)?.1.replace('+', " ");
    percent_decode_str(&value).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}
