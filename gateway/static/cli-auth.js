// Trades an email address and a password for a key that a terminal can use. Neither ever stands in a URL, and nothing is
// kept: no cookie, no storage.
"use strict";

const element = (id) => document.getElementById(id);

async function call(path, { token, body, status }) {
  const headers = { "Content-Type": "application/json" };
  if (token) headers["Coder-Session-Token"] = token;
  // Without cookies: neither an old session nor the new one is the browser's business.
  const answer = await fetch("/api/v2" + path, {
    method: "POST", headers, body: JSON.stringify(body ?? {}), credentials: "omit", cache: "no-store", redirect: "error",
  });
  const reply = await answer.json();
  if (answer.status !== status) throw new Error([reply.message, reply.detail].filter(Boolean).join(" "));
  return reply;
}

// The session only serves to make the key, and ends with that.
async function keyFor(email, password) {
  const { session_token: token } = await call("/users/login", { body: { email, password }, status: 201 });
  try {
    return (await call("/users/me/keys", { token, status: 201 })).key;
  } finally {
    await call("/users/logout", { token, status: 200 }).catch(() => {});
  }
}

element("sign-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  element("failure").textContent = "";
  element("submit").disabled = true;
  try {
    element("key").value = await keyFor(element("email").value, element("password").value);
    element("password").value = "";
    element("sign-in").hidden = true;
    element("result").hidden = false;
    element("key").select();
  } catch (error) {
    element("failure").textContent = error.message || "The server can't be reached.";
  } finally {
    element("submit").disabled = false;
  }
});

element("copy").addEventListener("click", async () => {
  element("key").select();
  try {
    await navigator.clipboard.writeText(element("key").value);
    element("copied").textContent = "Copied.";
  } catch {
    // Only secure pages have a clipboard.
    element("copied").textContent = "Copy it with your keyboard: it is selected.";
  }
});
