// Package openapi judges requests by an application's own description of its interface:
// OpenAPI 3.0 and 3.1 documents, in JSON or YAML.
//
//	files ─► parse ─► no outside references ─► structure ─► one tree of paths ─► schemas compiled
//	request ─► Find ─► Operation ─► Check (path, query, headers, cookies) ─► Media ─► Body
//
// It knows nothing of visits, sessions or answers: bytes in, a verdict out. A description
// that cannot be kept whole is refused when it is read, never when a request comes: a
// pattern that has no meaning here, a body nobody can decode, two paths of which neither
// is the more special one.
//
// Promises: use.public-api. What a description does not name is refused: paths, methods,
// media types, parameters of the query, cookies of programs, fields of bodies, a body
// where none is described. Nothing is filled in or rewritten: what was judged is what was
// sent. A refusal names the place and the keyword, never the value.
//
// Refuses: references to other files or addresses, aliases in YAML, schemas with a base of
// their own, servers as a means of matching (their common path is where the paths begin).
//
// Threats: two readers of one body (names said twice, broken UTF-8, numbers that take a
// megabyte to hold, nesting without end are refused before any schema sees them); a
// description that costs more at each request than at its reading (schemas are compiled
// once); a fault in the judge (it is a refusal, see ErrUnjudged).
//
// For: engineer, programs.
//
// Read load.go, trie.go, schema.go, then check.go with param.go and media.go; answer.go,
// fields.go and lint.go say what else a description is good for.
package openapi
