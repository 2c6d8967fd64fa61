// Passkeys. Without this file, or in a browser that has none, there is the password beside them.
"use strict";

{
  const form = document.getElementById("passkey-form");
  const button = document.getElementById("passkey");
  const failed = document.getElementById("passkey-failed");

  const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  const text = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

  // Binary values travel as base64url.
  const asked = () => {
    const { publicKey } = JSON.parse(form.dataset.options);
    publicKey.challenge = bytes(publicKey.challenge);
    if (publicKey.user) publicKey.user.id = bytes(publicKey.user.id);
    for (const known of publicKey.excludeCredentials ?? []) known.id = bytes(known.id);
    return { publicKey };
  };
  const answer = ({ id, rawId, type, response }) => {
    const parts = ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"];
    const given = parts.filter((part) => response[part]).map((part) => [part, text(response[part])]);
    return JSON.stringify({ id, rawId: text(rawId), type, response: Object.fromEntries(given) });
  };

  if (form && window.PublicKeyCredential && navigator.credentials) {
    form.hidden = false;
    document.querySelector("details[data-closes-beside-passkey]")?.removeAttribute("open");
    button.addEventListener("click", async (event) => {
      event.preventDefault();
      if (button.disabled) return;
      button.disabled = true;
      failed.hidden = true;
      try {
        const credential = await navigator.credentials[form.dataset.passkey](asked());
        form.elements.credential.value = answer(credential);
        form.submit();
      } catch {
        // Cancelled, timed out, or nothing there: the browser has said so, and does not tell us which.
        failed.hidden = false;
        button.disabled = false;
      }
    });
    addEventListener("pageshow", () => {
      button.disabled = false;
    });
  }
}
