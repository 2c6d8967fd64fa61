//! What the server refuses, in words for a terminal.

use std::fmt;

use http::StatusCode;
use serde_json::Value;

use crate::error::Code;

/// A refusal of the directory API (b2b-facts section 5.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli::guest) struct Refused {
    pub(in crate::cli::guest) status: StatusCode,
    /// Ours (`VB…`) where there is one, else Graph's.
    pub(in crate::cli::guest) code: String,
    /// What happened, and what to do next.
    pub(in crate::cli::guest) message: String,
    /// What the server's log calls the request.
    trace: Option<String>,
}

impl Refused {
    /// Reads the envelope of a refusal.
    pub(super) fn read(status: StatusCode, body: &Value) -> Self {
        let error = &body["error"];
        let text = |value: &Value| value.as_str().map(visible);
        let ours = text(&error["innerError"]["vbCode"]);
        let mut message = text(&error["message"]).unwrap_or_else(|| format!("the server answered {status}"));
        let known = ours.as_deref().and_then(|ours| Code::ALL.iter().find(|code| code.to_string() == ours));
        if let Some(next) = known.map(|code| code.next_step()).filter(|next| !message.contains(next)) {
            message = format!("{message} {next}");
        }
        let code = ours.or_else(|| text(&error["code"])).unwrap_or_else(|| status.as_u16().to_string());
        Self { status, code, message, trace: text(&error["innerError"]["request-id"]).filter(|trace| !trace.is_empty()) }
    }
}

/// What a terminal shows of a text, and does nothing else with.
fn visible(text: &str) -> String {
    super::super::table::visible(text).into_owned()
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)?;
        match &self.trace {
            Some(trace) => write!(f, "\n  trace {trace}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Refused {}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_refusal_says_what_to_do_next_once_and_how_to_find_it_in_the_log() {
        let code = Code::NotPermitted;
        let envelope = |message: &str| {
            let inner = json!({"vbCode": code.to_string(), "request-id": "0123456789abcdef"});
            Refused::read(
                code.status(),
                &json!({"error": {"code": "Authorization_RequestDenied", "message": message, "innerError": inner}}),
            )
        };
        let expected = format!("{code}: No. {}\n  trace 0123456789abcdef", code.next_step());
        assert_eq!(envelope("No.").to_string(), expected);
        assert_eq!(envelope(&format!("No. {}", code.next_step())).to_string(), expected);
    }

    #[test]
    fn what_is_no_envelope_is_told_by_its_status() {
        let refused = Refused::read(StatusCode::BAD_GATEWAY, &json!("\u{1b}[2J"));
        assert_eq!(refused.to_string(), "502: the server answered 502 Bad Gateway");
        let refused = Refused::read(StatusCode::BAD_REQUEST, &json!({"error": {"code": "BadRequest", "message": "a\u{1b}[2Jb"}}));
        assert_eq!(refused.to_string(), "BadRequest: a\u{fffd}[2Jb");
    }
}
