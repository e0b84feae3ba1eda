// Package web is the floor every page and API of Writ stands on: routes, doors,
// refusals, headers, JSON, the OpenAPI document, and the pages' common shape.
//
// It owns the order in which a request is examined, and nothing of what it asks for:
//
//	request id → recover → headers → size and time limits → cross-origin check
//	  → door.Identify → Who check → handler → rendering of its error
//
// Promises: every answer under /-/ carries no-store, a policy that allows no inline
// script or style, and the request id; a state-changing request from another site
// never reaches a handler; a body is limited in bytes and in time; a panic is a 500
// that says nothing of the inside; a refusal is problem+json (RFC 9457) for programs
// and a page for people, with the same code and words.
//
// Refuses: a route without a method, two routes for one pattern, a redirect that
// leaves the site, a cookie without the __Host- prefix, a table of more than seven
// columns, the client's own X-Request-Id and X-Forwarded-For.
//
// Threats: cross-site request forgery, clickjacking, script injection, open
// redirects, slow and endless bodies, secrets in logs (the pattern of a route is
// logged, never its path, because a path may hold a one-time link).
//
// For: every module with a page or an endpoint. A module writes
//
//	pages, err := web.NewPages(templates, web.Funcs{Now: now})
//	func (m *Module) Routes() []web.Route
//
// and app mounts the routes once and opens several doors (https, socket) on them.
//
// Read route.go, server.go, answer.go, json.go, request.go; then pages.go and
// pieces.go; openapi.go last. The look is templates/*.html and assets/writ.css.
package web
