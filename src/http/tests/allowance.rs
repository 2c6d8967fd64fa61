//! What a guest's codes are counted by.

use std::collections::BTreeMap;

use super::{
    browser::Site,
    invitations::{SAM, invite},
    walk::Walk,
};

/// O-02, O-04: who invites one address again and again, and opens each link, has no more codes sent there than by the first.
#[tokio::test]
async fn o_02_o_04_a_new_invitation_is_no_new_allowance() {
    let mut walk = Walk::new(Site::warm().await);
    let mut codes = BTreeMap::new();
    for _ in 0..12 {
        let guest = walk.site.invite(invite(Some(SAM))).await;
        walk.site.change_browser(&mut BTreeMap::new());
        let page = walk.open(&guest.link).await;
        let _code_page = walk.press("send code", "code page", &page, "send-code", &[]).await;
        if let Some(code) = walk.site.code_to(SAM).await {
            *codes.entry(code).or_insert(0) += 1;
        }
    }
    assert_eq!(codes.len(), 5, "{codes:?}");
}
