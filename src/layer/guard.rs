//! The door itself: what a request holds, what is decided, and how a refusal is dressed.

use std::sync::Arc;

use http::{Method, Request, Response, header::WWW_AUTHENTICATE, request::Parts};
use jiff::Timestamp;
use url::Url;

use super::{
    answer::{self, Refusal},
    attempt::Attempts,
    bearer::{self, Bearer, Presented},
    guest::Guest,
    provider::Provider,
    return_to::{NoReturn, ReturnTo},
    routes,
    session::SessionCookie,
};
use crate::{
    cookies,
    decision::{Caller, Credential, Decision, Policy, RequestFacts, Way, decide},
    error::Code,
    oidc::{Endpoints, TokenError},
};

/// Everything that one layer knows. Shared by all its services.
#[derive(Clone)]
pub(super) struct Guard {
    pub(super) provider: Arc<dyn Provider>,
    pub(super) policy: Policy,
    /// Scheme, host and port of the app, as browsers name it.
    pub(super) origin: String,
    pub(super) session: SessionCookie,
    pub(super) attempts: Attempts,
    pub(super) bearer: Bearer,
}

/// What becomes of a request.
#[derive(Debug)]
pub(super) enum Admission {
    /// It goes to the app.
    Pass(Guest),
    /// The layer answers.
    Answer(Answer),
    /// It has a token whose key is not known; that may change when the keys are fetched.
    FetchKeys,
}

/// Why the layer answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The path is one of the layer's own.
    Route,
    /// Somebody has to sign in, or to settle something; said so in this way.
    Lead(Code, Way),
    /// It may not pass.
    Refuse(Code),
}

/// A token needs keys that are not here.
struct KeysMissing;

impl Guard {
    /// Decides on a request. Asks nobody, waits for nothing.
    pub(super) fn admit<B>(&self, request: &Request<B>) -> Admission {
        if routes::is_ours(request.uri().path()) {
            return Admission::Answer(Answer::Route);
        }
        let now = self.provider.clock().now();
        match self.credential(request, now) {
            Ok(credential) => self.decide(request, credential, now),
            Err(KeysMissing) => Admission::FetchKeys,
        }
    }

    /// Decides on a request once keys were fetched for it.
    pub(super) fn admit_with_keys<B>(&self, request: &Request<B>) -> Admission {
        let now = self.provider.clock().now();
        match self.credential(request, now) {
            Ok(credential) => self.decide(request, credential, now),
            Err(KeysMissing) if self.provider.keys().is_none() => Admission::Answer(Answer::Refuse(Code::LiveStale)),
            Err(KeysMissing) => self.decide(request, Credential::Invalid, now),
        }
    }

    /// What a request holds. A Bearer token counts before a cookie.
    fn credential<B>(&self, request: &Request<B>, now: Timestamp) -> Result<Credential<Guest>, KeysMissing> {
        let token = match bearer::presented(request.headers()) {
            Presented::Nothing => {
                return Ok(self.session.open(request.headers(), now).map_or(Credential::Absent, Credential::Held));
            }
            Presented::Unreadable => return Ok(Credential::Invalid),
            Presented::Token(token) => token,
        };
        let keys = self.provider.keys().ok_or(KeysMissing)?;
        match self.bearer.guest(token, &keys, now) {
            Ok(guest) => Ok(Credential::Held(guest)),
            Err(TokenError::UnknownKey) => Err(KeysMissing),
            Err(error) => {
                tracing::debug!(%error, "a bearer token was refused");
                Ok(Credential::Invalid)
            }
        }
    }

    fn decide<B>(&self, request: &Request<B>, credential: Credential<Guest>, now: Timestamp) -> Admission {
        let facts = RequestFacts::of(request.method(), request.headers());
        match decide(&facts, credential, self.provider.live(), &self.policy, now) {
            Decision::Pass(guest) => Admission::Pass(guest),
            Decision::SignIn(code, way) | Decision::StepUp(code, way) => Admission::Answer(Answer::Lead(code, way)),
            Decision::Refuse(code) => Admission::Answer(Answer::Refuse(code)),
        }
    }

    /// Whoever's app session the request carries, if it would pass.
    pub(super) fn signed_in(&self, parts: &Parts) -> Option<Guest> {
        let facts = RequestFacts::of(&Method::GET, &parts.headers);
        let now = self.provider.clock().now();
        let credential = Credential::Held(self.session.open(&parts.headers, now)?);
        match decide(&facts, credential, self.provider.live(), &self.policy, now) {
            Decision::Pass(guest) => Some(guest),
            _ => None,
        }
    }

    /// Makes a request ready for the app: who it is from goes in, our cookies come out.
    pub(super) fn prepare<B>(request: &mut Request<B>, guest: Guest) {
        cookies::strip_prefix(request.headers_mut(), cookies::PREFIX);
        request.extensions_mut().insert(guest);
    }

    /// Answers in place of the app.
    pub(super) async fn answer(&self, parts: Parts, answer: Answer) -> Response<String> {
        let mut response = match answer {
            Answer::Route => return routes::answer(self, &parts).await,
            Answer::Lead(code, Way::Lead) => match ReturnTo::of(&parts.uri) {
                Ok(return_to) => self.lead(&parts, return_to, code).await,
                Err(NoReturn::TooLong) => self.refuse(&parts, Code::ReturnTooLong),
                Err(NoReturn::Elsewhere) => self.lead(&parts, ReturnTo::start(), code).await,
            },
            Answer::Lead(code, Way::Ask) => self.refuse(&parts, code),
            Answer::Lead(code, Way::Tell) => self.tell(&parts, code),
            Answer::Refuse(code) => self.refuse(&parts, code),
        };
        if self.session.is_repeated(&parts.headers) {
            answer::set_cookie(&mut response, self.session.end());
        }
        response
    }

    /// Sends a person to sign in and back to `return_to`.
    pub(super) async fn lead(&self, parts: &Parts, return_to: ReturnTo, code: Code) -> Response<String> {
        let (now, entropy) = (self.provider.clock().now(), self.provider.entropy());
        let endpoints = match self.provider.endpoints().await {
            Ok(endpoints) => endpoints,
            Err(code) => return self.refuse(parts, code),
        };
        let (Ok(begun), Ok(mut target)) =
            (self.attempts.begin(&parts.headers, return_to, now, entropy), Url::parse(&endpoints.authorization))
        else {
            return self.refuse(parts, Code::Internal);
        };
        target
            .query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.policy.app.to_string())
            .append_pair("redirect_uri", &self.redirect_uri())
            .append_pair("scope", "openid profile email")
            .append_pair("state", &begun.state)
            .append_pair("nonce", &begun.nonce)
            .append_pair("code_challenge", &begun.challenge)
            .append_pair("code_challenge_method", "S256");
        if let Some(max_age) = self.policy.max_age {
            // Without it the provider would send the person back with the proof that is too old here.
            target.query_pairs_mut().append_pair("max_age", &max_age.as_secs().max(0).to_string());
        }
        let mut response = answer::see_other(target.as_str());
        answer::set_cookie(&mut response, begun.set_cookie);
        response.extensions_mut().insert(Refusal::new(code, entropy));
        response
    }

    /// Refuses, in the form that suits who asks.
    pub(super) fn refuse(&self, parts: &Parts, code: Code) -> Response<String> {
        let facts = RequestFacts::of(&parts.method, &parts.headers);
        if facts.caller() == Caller::Program {
            return self.tell(parts, code);
        }
        let entropy = self.provider.entropy();
        let refusal = Refusal::new(code, entropy);
        let start = format!("{}/", self.origin);
        let mut response = answer::refusal_page(&refusal, Some((&start, "Open the app")), entropy);
        self.challenge(parts, code, &mut response);
        response.extensions_mut().insert(refusal);
        response
    }

    /// Refuses a program: status, challenge, problem document.
    fn tell(&self, parts: &Parts, code: Code) -> Response<String> {
        let refusal = Refusal::new(code, self.provider.entropy());
        let mut response = answer::problem(&refusal, &format!("{}{}", self.origin, routes::SIGN_IN));
        self.challenge(parts, code, &mut response);
        response.extensions_mut().insert(refusal);
        response
    }

    /// The challenge of RFC 6750 section 3: with an error only when a token was presented (section 3.1).
    fn challenge(&self, parts: &Parts, code: Code, response: &mut Response<String>) {
        let error = match code {
            Code::LoginRequired | Code::TokenInvalid => {
                let presented = bearer::presented(&parts.headers) != Presented::Nothing;
                presented.then_some("invalid_token")
            }
            Code::TermsOwed => Some(code.oauth().as_str()),
            _ => return,
        };
        let authorization = Endpoints::new(self.provider.issuer().clone()).authorization;
        let mut value = format!(r#"Bearer realm="{}", authorization_uri="{authorization}""#, self.origin);
        if let Some(error) = error {
            value.push_str(&format!(r#", error="{error}", error_description="{code}: {}""#, code.sentence()));
        }
        answer::set(response, WWW_AUTHENTICATE, &value);
    }

    /// Where the provider sends codes.
    pub(super) fn redirect_uri(&self) -> String {
        format!("{}{}", self.origin, routes::CALLBACK)
    }
}
