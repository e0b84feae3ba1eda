package ssm

import (
	"cmp"

	"writ/internal/fault"
)

// codes are the clients' names of our own refusals. What is not here follows its kind.
var codes = map[string]string{
	"param_unknown":    "ParameterNotFound",
	"params_full":      "ParameterLimitExceeded",
	"param_exists":     "ParameterAlreadyExists",
	"param_changed":    "TooManyUpdates",
	"version_unknown":  "ParameterVersionNotFound",
	"versions_full":    "ParameterMaxVersionLimitExceeded",
	"name_depth":       "HierarchyLevelLimitExceededException",
	"type_changed":     "HierarchyTypeMismatchException",
	"type_unknown":     "UnsupportedParameterType",
	"pattern_invalid":  "InvalidAllowedPatternException",
	"pattern_mismatch": "ParameterPatternMismatchException",
	"lifecycle_many":   "PoliciesLimitExceededException",
	"lifecycle_twice":  "IncompatiblePolicyException",
	"lifecycle_type":   "InvalidPolicyTypeException",
	"lifecycle_wants":  "InvalidPolicyAttributeException",
	"lifecycle_json":   "InvalidPolicyAttributeException",
	"labels_full":      "ParameterVersionLabelLimitExceeded",
	"tags_full":        "TooManyTagsError",
	"key_alias":        "InvalidKeyId",
	"how":              "InvalidFilterOption",
	"page":             "InvalidNextToken",
	"path_reserved":    "AccessDeniedException",
}

var kinds = map[fault.Kind]string{
	fault.NotFound: "ParameterNotFound",
	fault.Conflict: "TooManyUpdates",
}

func code(ours string, kind fault.Kind) string { return cmp.Or(codes[ours], kinds[kind]) }
