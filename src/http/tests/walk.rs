//! A walk through the pages, one step after the other.

use super::browser::{Answer, Site};
use crate::{
    domain::{
        VerifiedEmail,
        tenant::IdentitySource,
        user::{Identity, VerifiedIdentity},
    },
    flows::apply::tests::tenant,
};

/// A guest who has not been here.
pub(super) const MARIA: &str = "maria@fabrikam.example";

/// A walk through the pages, and the calls of each step.
pub(super) struct Walk {
    pub(super) site: Site,
    pub(super) steps: Vec<(&'static str, Vec<String>)>,
}

impl Walk {
    pub(super) fn new(site: Site) -> Self {
        Self { site, steps: Vec::new() }
    }

    pub(super) fn note(&mut self, step: &'static str) {
        self.steps.push((step, self.site.store.take()));
    }

    pub(super) async fn get(&mut self, step: &'static str, path: &str) -> Answer {
        let answer = self.site.get(path).await;
        self.note(step);
        answer
    }

    /// Sends a form of a page, some time after it was shown.
    pub(super) async fn send(&mut self, step: &'static str, page: &Answer, action: &str, fields: &[(&str, &str)]) -> Answer {
        self.site.wait(20);
        let path = format!("/{}/journey/{}/{action}", tenant(), self.site.journey().id);
        let csrf = page.hidden("csrf");
        let answer = self.site.post(&path, &[fields, &[("csrf", &csrf)]].concat()).await;
        self.note(step);
        answer
    }

    /// The same; and goes where it leads, at once.
    pub(super) async fn press(
        &mut self,
        step: &'static str,
        next: &'static str,
        page: &Answer,
        action: &str,
        fields: &[(&str, &str)],
    ) -> Answer {
        let onward = self.send(step, page, action, fields).await.onward();
        self.get(next, &onward).await
    }

    /// From the request until the page that follows the address.
    pub(super) async fn arrive(&mut self, email: &str) -> Answer {
        let authorize = self.site.authorize("openid profile email offline_access");
        let begun = self.get("authorize", &authorize).await;
        let page = self.get("address page", &begun.onward()).await;
        self.press("address", "next page", &page, "address", &[("email", email)]).await
    }

    /// Until the review of permissions, by a mailed code.
    pub(super) async fn review(&mut self) -> Answer {
        let page = self.arrive(MARIA).await;
        let page = self.press("send code", "code page", &page, "send-code", &[]).await;
        let code = self.site.mailed_code().await;
        self.press("code", "review page", &page, "code", &[("code", &code)]).await
    }

    /// Until the review of permissions, by a home organisation. Its part is not the store's: its answer is put into the
    /// journey, as the callback does.
    pub(super) async fn review_from_home(&mut self) -> Answer {
        let _ = self.arrive(MARIA).await;
        let foundation = self.site.house.foundation.clone();
        let proof = VerifiedIdentity {
            identity: Identity { issuer: "https://login.fabrikam.example".into(), subject: "maria".into() },
            source: IdentitySource::HomeOrganisation,
            email: Some(VerifiedEmail::proven_by_passcode(MARIA.parse().unwrap())),
            claimed_email: None,
            name: None,
            auth_time: foundation.now(),
            amr: Vec::new(),
        };
        self.site.change_journey(|journey| journey.prove(proof, &foundation));
        let path = format!("/{}/journey/{}", tenant(), self.site.journey().id);
        self.get("review page", &path).await
    }

    /// Until the terms are accepted; the answer leads to the landing.
    pub(super) async fn accept_all(&mut self, review: &Answer) -> Answer {
        let terms = self.press("permissions", "terms page", review, "permissions", &[("answer", "accept")]).await;
        let _ = self.press("open terms", "document", &terms, "open-terms", &[]).await;
        let document = terms.hidden("document");
        self.send("terms", &terms, "terms", &[("answer", "accept"), ("document", &document)]).await
    }

    /// From the review of permissions until the code was traded.
    pub(super) async fn agree(&mut self, review: &Answer) -> serde_json::Value {
        let accepted = self.accept_all(review).await;
        let landed = self.get("landing", &accepted.onward()).await;
        let code = landed.parameter("code");
        let tokens = self.site.trade(&code).await;
        self.note("token");
        tokens.json()
    }

    /// Asserts how many calls each step made; `expected` leaves out those that made none.
    #[track_caller]
    pub(super) fn assert(&self, expected: &[(&str, usize)]) {
        let found: Vec<_> = self.steps.iter().map(|(step, calls)| (*step, calls.len())).filter(|(_, calls)| *calls > 0).collect();
        assert_eq!(found, expected, "{:#?}", self.steps);
    }
}

/// Walks the whole passcode path.
pub(super) async fn redeemed() -> (Walk, serde_json::Value) {
    let mut walk = Walk::new(Site::warm().await);
    let review = walk.review().await;
    let tokens = walk.agree(&review).await;
    (walk, tokens)
}
