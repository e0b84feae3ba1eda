"""What a program with authlib does."""
import json
import sys

import requests
from authlib.common.security import generate_token
from authlib.common.urls import add_params_to_uri
from authlib.integrations.requests_client import OAuth2Session
from authlib.jose import JsonWebKey, JsonWebToken
from authlib.oidc.core import CodeIDToken

issuer, client, secret, redirect, bye = sys.argv[1:]
op = requests.get(issuer + "/.well-known/openid-configuration").json()
keys = JsonWebKey.import_key_set(requests.get(op["jwks_uri"]).json())
session = OAuth2Session(client, secret, scope="openid email", redirect_uri=redirect, code_challenge_method="S256",
                        token_endpoint_auth_method="client_secret_basic")
verifier, nonce = generate_token(48), generate_token(20)
to, state = session.create_authorization_url(op["authorization_endpoint"], code_verifier=verifier, nonce=nonce)
print(to, flush=True)


def read(tokens, **more):
    wanted = {"iss": {"essential": True, "value": issuer}, "aud": {"essential": True, "value": client}}
    claims = JsonWebToken(["RS256"]).decode(tokens["id_token"], keys, claims_cls=CodeIDToken, claims_options=wanted,
                                            claims_params={"client_id": client, "access_token": tokens["access_token"], **more})
    claims.validate()
    return claims


def good(token):
    return session.introspect_token(op["introspection_endpoint"], token=token).json()["active"]


tokens = session.fetch_token(op["token_endpoint"], authorization_response=input(), code_verifier=verifier, state=state)
claims = read(tokens, nonce=nonce)
info = session.get(op["userinfo_endpoint"]).json()
fresh = session.refresh_token(op["token_endpoint"], refresh_token=tokens["refresh_token"])
before = good(fresh["access_token"])
session.revoke_token(op["revocation_endpoint"], token=fresh["refresh_token"], token_type_hint="refresh_token")
print(json.dumps({
    "email": info["email"], "sub": claims["sub"], "before": before, "after": good(fresh["access_token"]),
    "refreshed": fresh["access_token"] != tokens["access_token"] and read(fresh)["sub"] == info["sub"],
    "out": add_params_to_uri(op["end_session_endpoint"], [("id_token_hint", fresh["id_token"]), ("post_logout_redirect_uri", bye)]),
}), flush=True)
