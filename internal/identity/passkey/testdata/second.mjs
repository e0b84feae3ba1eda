// A second verifier of the same answers: reads cases as JSON, says of each whether it holds.
import { createRequire } from "node:module";
const { verifyRegistrationResponse, verifyAuthenticationResponse } = createRequire(process.argv[2] + "/")("@simplewebauthn/server");

let text = "";
for await (const chunk of process.stdin) text += chunk;
const bytes = (s) => new Uint8Array(Buffer.from(s, "base64"));
const verdicts = [];
for (const c of JSON.parse(text)) {
  const options = { response: c.response, expectedChallenge: c.challenge, expectedOrigin: c.origin, expectedRPID: c.host, requireUserVerification: true };
  try {
    const v = c.made
      ? await verifyRegistrationResponse(options)
      : await verifyAuthenticationResponse({ ...options, credential: { id: c.id, publicKey: bytes(c.key), counter: c.count } });
    verdicts.push({ holds: v.verified, count: v.verified ? (c.made ? v.registrationInfo.credential.counter : v.authenticationInfo.newCounter) : 0 });
  } catch (e) {
    verdicts.push({ holds: false, why: String(e.message) });
  }
}
process.stdout.write(JSON.stringify(verdicts));
