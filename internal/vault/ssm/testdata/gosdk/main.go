// Command judge lets Amazon's SDK for Go ask for each behaviour of the contract by its number
// and say what it saw, one line of JSON each: the same as judge.mjs, through another client. It is
// built in a module of its own (scripts/judges.sh).
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

var (
	ctx     = context.Background()
	root    = os.Getenv("ROOT")
	session struct{ AccessKeyID, SecretAccessKey, SessionToken string }
	c       *ssm.Client
)

func client(id, secret, token string) *ssm.Client {
	static := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: id, SecretAccessKey: secret, SessionToken: token}, nil
	})
	return ssm.New(ssm.Options{Region: os.Getenv("AWS_REGION"), BaseEndpoint: aws.String(os.Getenv("ENDPOINT")), Credentials: static, RetryMaxAttempts: 1})
}

func mine() *ssm.Client {
	return client(os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"), "")
}

// unsigned and signed alter a request before and after it is signed.
func unsigned(alter func(*smithyhttp.Request)) func(*ssm.Options) {
	return option(func(s *middleware.Stack) error {
		return s.Build.Add(middleware.BuildMiddlewareFunc("alter", func(ctx context.Context, in middleware.BuildInput, next middleware.BuildHandler) (middleware.BuildOutput, middleware.Metadata, error) {
			alter(in.Request.(*smithyhttp.Request))
			return next.HandleBuild(ctx, in)
		}), middleware.After)
	})
}

func signed(alter func(*smithyhttp.Request)) func(*ssm.Options) {
	return option(func(s *middleware.Stack) error {
		return s.Finalize.Add(middleware.FinalizeMiddlewareFunc("alter", func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
			alter(in.Request.(*smithyhttp.Request))
			return next.HandleFinalize(ctx, in)
		}), middleware.After)
	})
}

func option(f func(*middleware.Stack) error) func(*ssm.Options) {
	return func(o *ssm.Options) { o.APIOptions = append(o.APIOptions, f) }
}

func body(text string) func(*smithyhttp.Request) {
	return func(r *smithyhttp.Request) {
		n, err := r.SetStream(strings.NewReader(text))
		check(err)
		*r = *n
		r.ContentLength = int64(len(text))
	}
}

// wrong is what a behaviour failed with.
type wrong struct{ text string }

func fail(format string, a ...any) { panic(wrong{fmt.Sprintf(format, a...)}) }

func check(err error) {
	if err != nil {
		fail("%v", err)
	}
}

func must(ok bool, what any) {
	if !ok {
		fail("saw %+v", what)
	}
}

func same(a, b any) {
	if x, y := fmt.Sprint(a), fmt.Sprint(b); x != y {
		fail("%s, want %s", x, y)
	}
}

// mute are errors whose text the SDK's model has no place for.
var mute = []string{"InvalidFilterKey", "InvalidResourceId", "InvalidResourceType", "TooManyTagsError"}

// refused wants an error of a code, and of the SDK's type where it has one.
func refused(code string, err error, typed ...any) {
	var e smithy.APIError
	if !errors.As(err, &e) || e.ErrorCode() != code || e.ErrorMessage() == "" && !slices.Contains(mute, code) {
		fail("%v, want %s", err, code)
	}
	for _, t := range typed {
		if text, ok := t.(string); ok {
			must(strings.Contains(e.ErrorMessage(), text), e.ErrorMessage())
		} else {
			must(errors.As(err, t), fmt.Sprintf("%s is not of its own type", code))
		}
	}
}

func put(name, value string, change ...func(*ssm.PutParameterInput)) (*ssm.PutParameterOutput, error) {
	in := &ssm.PutParameterInput{Name: &name, Value: &value, Type: types.ParameterTypeString}
	for _, f := range change {
		f(in)
	}
	return c.PutParameter(ctx, in)
}

func over(in *ssm.PutParameterInput)   { in.Type, in.Overwrite = "", aws.Bool(true) }
func secure(in *ssm.PutParameterInput) { in.Type = types.ParameterTypeSecureString }

func made(name, value string, change ...func(*ssm.PutParameterInput)) *ssm.PutParameterOutput {
	out, err := put(root+name, value, change...)
	check(err)
	return out
}

func get(name string) (*ssm.GetParameterOutput, error) {
	return c.GetParameter(ctx, &ssm.GetParameterInput{Name: &name, WithDecryption: aws.Bool(true)})
}

func got(name string) *types.Parameter {
	out, err := get(root + name)
	check(err)
	return out.Parameter
}

func about(name string) types.ParameterMetadata {
	out, err := c.DescribeParameters(ctx, &ssm.DescribeParametersInput{ParameterFilters: []types.ParameterStringFilter{filter("Name", "", root+name)}})
	check(err)
	must(len(out.Parameters) == 1, out)
	return out.Parameters[0]
}

func filter(key, option string, values ...string) types.ParameterStringFilter {
	f := types.ParameterStringFilter{Key: &key, Values: values}
	if option != "" {
		f.Option = &option
	}
	return f
}

func below(path string, fs ...types.ParameterStringFilter) (*ssm.GetParametersByPathOutput, error) {
	return c.GetParametersByPath(ctx, &ssm.GetParametersByPathInput{Path: aws.String(root + path), ParameterFilters: fs})
}

func names(ps []types.Parameter) (out []string) {
	for _, p := range ps {
		out = append(out, strings.TrimPrefix(*p.Name, root))
	}
	return out
}

func ask(using *ssm.Client, name string, change ...func(*ssm.Options)) error {
	_, err := using.GetParameter(ctx, &ssm.GetParameterInput{Name: aws.String(root + name)}, change...)
	return err
}

func label(name string, version *int64, labels ...string) (*ssm.LabelParameterVersionOutput, error) {
	return c.LabelParameterVersion(ctx, &ssm.LabelParameterVersionInput{Name: aws.String(root + name), ParameterVersion: version, Labels: labels})
}

const (
	unchanged = `{"Type":"NoChangeNotification","Version":"1.0","Attributes":{"After":"20","Unit":"Days"}}`
	ends      = `{"Type":"Expiration","Version":"1.0","Attributes":{"Timestamp":"2090-01-01T00:00:00Z"}}`
)

func policies(ps ...string) func(*ssm.PutParameterInput) {
	return func(in *ssm.PutParameterInput) {
		in.Overwrite, in.Policies, in.Tier = aws.Bool(true), aws.String("["+strings.Join(ps, ",")+"]"), types.ParameterTierAdvanced
	}
}

func pattern(p string) func(*ssm.PutParameterInput) {
	return func(in *ssm.PutParameterInput) { in.AllowedPattern = &p }
}

// first throws the answer away.
func first[T any](_ T, err error) error { return err }

var behaviours = map[int]func() string{
	1: run(func() {
		refused("UnknownOperationException", ask(c, "/a", unsigned(func(r *smithyhttp.Request) { r.Header.Del("X-Amz-Target") })))
	}),
	2: run(func() { refused("SerializationException", ask(c, "/a", unsigned(body(`{"Name":`)))) }),
	3: run(func() {
		refused("MissingAuthenticationTokenException", ask(c, "/a", signed(func(r *smithyhttp.Request) { r.Header.Del("Authorization") })))
	}),
	4: run(func() {
		refused("InvalidSignatureException", ask(client(os.Getenv("AWS_ACCESS_KEY_ID"), "another", ""), "/a"))
	}),
	5: run(func() { refused("UnrecognizedClientException", ask(client("AKIAABCDEFGHIJKLMNOP", "x", ""), "/a")) }),
	6: run(func() {
		refused("InvalidSignatureException", ask(c, "/a", signed(func(r *smithyhttp.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "/ssm/", "/kms/", 1))
		})), "ssm")
	}),
	7: run(func() {
		refused("InvalidSignatureException", ask(c, "/a", signed(func(r *smithyhttp.Request) {
			b, err := io.ReadAll(r.GetStream())
			check(err)
			body(strings.Replace(string(b), "/a", "/b", 1))(r)
		})))
	}),
	8: run(func() {
		list := func(c *ssm.Client) error { return first(c.DescribeParameters(ctx, &ssm.DescribeParametersInput{})) }
		if os.Getenv("SESSION_OVER") != "" {
			refused("ExpiredTokenException", list(client(session.AccessKeyID, session.SecretAccessKey, session.SessionToken)), "expired")
			return
		}
		check(list(client(session.AccessKeyID, session.SecretAccessKey, session.SessionToken)))
		refused("UnrecognizedClientException", list(client(session.AccessKeyID, session.SecretAccessKey, "another")))
		refused("UnrecognizedClientException", list(client(session.AccessKeyID, session.SecretAccessKey, "")))
	}),
	9: run(func() {
		made("/9", "x")
		check(ask(c, "/9", unsigned(body(fmt.Sprintf(`{"Name":%q,"Else":{"x":[1]}}`, root+"/9")))))
	}),
	10: run(func() { made("/10", "planted-in-the-wire", secure); got("/10") }),
	11: func() string {
		made("/11", "x")
		out, err := get(root + "/11")
		check(err)
		id, _ := awsmiddleware.GetRequestIDMetadata(out.ResultMetadata)
		return id
	},
	12: run(func() {
		out := made("/12", "x")
		must(out.Version == 1 && out.Tier == types.ParameterTierStandard, out)
		refused("ParameterAlreadyExists", first(put(root+"/12", "x")), new(*types.ParameterAlreadyExists))
	}),
	13: run(func() {
		must(made("/13", "x", func(in *ssm.PutParameterInput) { in.Overwrite = aws.Bool(true) }).Version == 1, "no first version")
	}),
	14: run(func() { made("/14", "x"); must(made("/14", "y", over).Version == 2, "no second version") }),
	15: run(func() {
		refused("ValidationException", first(put(root+"/15", "x", func(in *ssm.PutParameterInput) { in.Type = "" })), "A parameter type is required when you create a parameter.")
	}),
	16: run(func() {
		made("/16", "x")
		refused("HierarchyTypeMismatchException", first(put(root+"/16", "x", over, secure)), new(*types.HierarchyTypeMismatchException))
	}),
	17: run(func() {
		made("/17", "x")
		refused("ValidationException", first(put(root+"/17", "x", over, func(in *ssm.PutParameterInput) { in.Tags = []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}} })), "AddTagsToResource")
	}),
	18: run(func() {
		for _, n := range []string{"aws", "AWSx", "ssm.x", "SSM", "/ssm/x", "/Ssmx"} {
			refused("ValidationException", first(put(n, "x")))
		}
		refused("AccessDeniedException", first(put("/aws/x", "x")))
	}),
	19: run(func() {
		for _, n := range []string{"/a b", "/ä", "/a*", "/a:b"} {
			refused("ValidationException", first(put(root+n, "x")))
		}
		check(first(put("  "+root+"/19 ", "x")))
		same(*got("/19").Name, root+"/19")
	}),
	20: run(func() { refused("ValidationException", first(put("a/b", "x")), "fully qualified") }),
	21: run(func() { refused("ValidationException", first(put(root+"/21", ""))) }),
	22: run(func() {
		made("/22", strings.Repeat("v", 4096))
		refused("ValidationException", first(put(root+"/22", strings.Repeat("v", 4097), over)), "4096")
		same(made("/22", strings.Repeat("v", 4097), over, func(in *ssm.PutParameterInput) { in.Tier = types.ParameterTierIntelligentTiering }).Tier, "Advanced")
	}),
	23: run(func() {
		advanced := func(in *ssm.PutParameterInput) { in.Tier = types.ParameterTierAdvanced }
		made("/23", strings.Repeat("v", 8192), advanced)
		refused("ValidationException", first(put(root+"/23", strings.Repeat("v", 8193), over, advanced)))
	}),
	24: run(func() {
		made("/24", "a,b,,c", func(in *ssm.PutParameterInput) { in.Type = types.ParameterTypeStringList })
		same(*got("/24").Value, "a,b,,c")
	}),
	25: run(func() { refused("ValidationException", first(put(root+"/25", "x{{ssm:y}}"))) }),
	26: run(func() {
		refused("ParameterPatternMismatchException", first(put(root+"/26", "x", pattern("^[0-9]+$"))), new(*types.ParameterPatternMismatchException))
		refused("InvalidAllowedPatternException", first(put(root+"/26", "x", pattern("("))), new(*types.InvalidAllowedPatternException))
		made("/26", "7", pattern("^[0-9]+$"))
		refused("ParameterPatternMismatchException", first(put(root+"/26", "x", over)))
		made("/26", "x", over, pattern(""))
	}),
	27: run(func() {
		refused("ValidationException", first(put(root+"/27", "x", func(in *ssm.PutParameterInput) { in.DataType = aws.String("else") })))
		made("/27", "x")
		same(*got("/27").DataType, "text")
	}),
	28: run(func() {
		made("/28", "7", pattern("^[0-9]+$"), policies(unchanged), func(in *ssm.PutParameterInput) { in.Description = aws.String("a number") })
		made("/28", "8", over)
		p := about("/28")
		must(*p.Description == "a number" && *p.AllowedPattern == "^[0-9]+$" && len(p.Policies) == 1 && *p.Policies[0].PolicyType == "NoChangeNotification", p)
	}),
	29: run(func() {
		made("/29", "x", secure)
		same(*about("/29").KeyId, "alias/aws/ssm")
		refused("ValidationException", first(put(root+"/29s", "x", func(in *ssm.PutParameterInput) { in.KeyId = aws.String("alias/aws/ssm") })))
	}),
	30: run(func() {
		refused("InvalidKeyId", first(put(root+"/30", "x", secure, func(in *ssm.PutParameterInput) { in.KeyId = aws.String("alias/else") })), new(*types.InvalidKeyId))
	}),
	31: run(func() {
		refused("PoliciesLimitExceededException", first(put(root+"/31", "x", policies(slices.Repeat([]string{unchanged}, 11)...))), new(*types.PoliciesLimitExceededException))
		refused("IncompatiblePolicyException", first(put(root+"/31", "x", policies(ends, ends))), new(*types.IncompatiblePolicyException))
		refused("InvalidPolicyTypeException", first(put(root+"/31", "x", policies(`{"Type":"Else"}`))), new(*types.InvalidPolicyTypeException))
		refused("InvalidPolicyAttributeException", first(put(root+"/31", "x", policies(`{"Type":"Expiration"}`))), new(*types.InvalidPolicyAttributeException))
		made("/31", "x", policies(ends))
		same(*about("/31").Policies[0].PolicyStatus, "Pending")
		made("/31", "x", policies())
		same(len(about("/31").Policies), 0)
	}),
	32: run(func() {
		made("/32", "1")
		made("/32", "2", over)
		made("/32", "3", over)
		check(first(label("/32", aws.Int64(2), "prod")))
		for sel, want := range map[string]string{":3": "3", ":prod": "2"} {
			p := got("/32" + sel)
			same(*p.Value+*p.Selector, want+sel)
		}
	}),
	33: run(func() {
		made("/33", "x")
		out, err := get(*got("/33").ARN)
		check(err)
		same(*out.Parameter.Name, root+"/33")
	}),
	34: run(func() {
		refused("ParameterNotFound", first(get(root+"/34")), new(*types.ParameterNotFound))
		made("/34", "x")
		refused("ParameterVersionNotFound", first(get(root+"/34:9")), new(*types.ParameterVersionNotFound), "Systems Manager could not find version 9 of "+root+"/34. Verify the version and try again.")
	}),
	35: run(func() {
		made("/35", "p")
		for _, d := range []bool{true, false} {
			out, err := c.GetParameter(ctx, &ssm.GetParameterInput{Name: aws.String(root + "/35"), WithDecryption: &d})
			check(err)
			same(*out.Parameter.Value, "p")
		}
	}),
	36: run(func() {
		made("/36/b", "x")
		made("/36/a", "x")
		out, err := c.GetParameters(ctx, &ssm.GetParametersInput{Names: []string{root + "/36/b", root + "/36/none", root + "/36/a", root + "/36/b", "not good"}})
		check(err)
		same(names(out.Parameters), []string{"/36/a", "/36/b"})
		slices.Sort(out.InvalidParameters)
		same(out.InvalidParameters, []string{root + "/36/none", "not good"})
	}),
	37: run(func() {
		refused("ValidationException", first(c.GetParameters(ctx, &ssm.GetParametersInput{Names: slices.Repeat([]string{"/a"}, 11)})), "at 'names' failed to satisfy constraint: Member must have length less than or equal to 10")
	}),
	38: run(func() {
		made("/38/a", "x")
		for _, p := range []string{"/38", "/38/"} {
			out, err := below(p)
			check(err)
			same(names(out.Parameters), []string{"/38/a"})
		}
	}),
	39: run(func() {
		made("/39/a", "x")
		made("/39/b/c", "x")
		out, err := below("/39")
		check(err)
		same(names(out.Parameters), []string{"/39/a"})
		out, err = c.GetParametersByPath(ctx, &ssm.GetParametersByPathInput{Path: aws.String(root + "/39"), Recursive: aws.Bool(true)})
		check(err)
		same(names(out.Parameters), []string{"/39/a", "/39/b/c"})
	}),
	40: run(func() {
		for i := range 12 {
			made(fmt.Sprintf("/40/p%02d", i), "x")
		}
		out, err := below("/40")
		check(err)
		must(len(out.Parameters) == 10 && out.NextToken != nil && !strings.Contains(*out.NextToken, "p0"), out)
		var seen []string
		for pages := ssm.NewGetParametersByPathPaginator(c, &ssm.GetParametersByPathInput{Path: aws.String(root + "/40"), MaxResults: aws.Int32(5)}); pages.HasMorePages(); {
			p, err := pages.NextPage(ctx)
			check(err)
			seen = append(seen, names(p.Parameters)...)
		}
		same(len(slices.Compact(seen)), 12)
	}),
	41: run(func() {
		refused("InvalidNextToken", first(c.GetParametersByPath(ctx, &ssm.GetParametersByPathInput{Path: &root, NextToken: aws.String("else")})), new(*types.InvalidNextToken))
	}),
	42: run(func() {
		made("/42/a", "x")
		made("/42/s", "x", secure)
		check(first(label("/42/s", nil, "live")))
		for _, f := range []types.ParameterStringFilter{filter("Type", "Equals", "SecureString"), filter("KeyId", "", "alias/aws/ssm"), filter("Label", "Equals", "live")} {
			out, err := below("/42", f)
			check(err)
			same(names(out.Parameters), []string{"/42/s"})
		}
		refused("InvalidFilterOption", first(below("/42", filter("Label", "BeginsWith", "live"))), new(*types.InvalidFilterOption))
		refused("InvalidFilterKey", first(below("/42", filter("Name", "", "a"))), new(*types.InvalidFilterKey))
	}),
	43: run(func() {
		refused("ValidationException", first(c.GetParametersByPath(ctx, &ssm.GetParametersByPathInput{Path: &root, MaxResults: aws.Int32(11)})), "less than or equal to 10")
	}),
	44: run(func() {
		made("/44/a", "x", func(in *ssm.PutParameterInput) {
			in.Tags = []types.Tag{{Key: aws.String("team"), Value: aws.String("red")}}
		})
		made("/44/b/c", "x", secure, func(in *ssm.PutParameterInput) { in.Tier = types.ParameterTierAdvanced })
		by := func(depth string, fs ...types.ParameterStringFilter) (out []string) {
			in := &ssm.DescribeParametersInput{ParameterFilters: append([]types.ParameterStringFilter{filter("Path", depth, root+"/44")}, fs...)}
			for pages := ssm.NewDescribeParametersPaginator(c, in); pages.HasMorePages(); {
				p, err := pages.NextPage(ctx)
				check(err)
				for _, m := range p.Parameters {
					out = append(out, strings.TrimPrefix(*m.Name, root))
				}
			}
			return out
		}
		same(by("Recursive"), []string{"/44/a", "/44/b/c"})
		same(by("OneLevel"), []string{"/44/a"})
		same(by("Recursive", filter("Name", "Equals", root+"/44/a")), []string{"/44/a"})
		same(by("Recursive", filter("Name", "BeginsWith", root+"/44/b")), []string{"/44/b/c"})
		same(by("Recursive", filter("Name", "Contains", "/b/")), []string{"/44/b/c"})
		same(by("Recursive", filter("Type", "", "SecureString")), []string{"/44/b/c"})
		same(by("Recursive", filter("Tier", "", "Advanced")), []string{"/44/b/c"})
		same(by("Recursive", filter("DataType", "", "text")), []string{"/44/a", "/44/b/c"})
		same(by("Recursive", filter("tag:team", "", "red")), []string{"/44/a"})
		p := about("/44/a")
		must(p.LastModifiedDate != nil && strings.HasPrefix(*p.LastModifiedUser, "arn:aws:iam::"), p)
	}),
	45: run(func() {
		describe := func(in *ssm.DescribeParametersInput) error { return first(c.DescribeParameters(ctx, in)) }
		f := filter("Name", "", "a")
		refused("ValidationException", describe(&ssm.DescribeParametersInput{Filters: []types.ParametersFilter{{Key: "Name", Values: []string{"a"}}}, ParameterFilters: []types.ParameterStringFilter{f}}))
		refused("InvalidFilterKey", describe(&ssm.DescribeParametersInput{ParameterFilters: []types.ParameterStringFilter{f, f}}), new(*types.InvalidFilterKey))
		refused("InvalidFilterKey", describe(&ssm.DescribeParametersInput{ParameterFilters: []types.ParameterStringFilter{filter("Colour", "", "a")}}))
		refused("InvalidFilterValue", describe(&ssm.DescribeParametersInput{ParameterFilters: []types.ParameterStringFilter{filter("Path", "", "a")}}), new(*types.InvalidFilterValue))
	}),
	46: run(func() {
		made("/46", "1")
		made("/46", "2", over)
		check(first(label("/46", aws.Int64(1), "old")))
		in := &ssm.GetParameterHistoryInput{Name: aws.String(root + "/46")}
		out, err := c.GetParameterHistory(ctx, in)
		check(err)
		h := out.Parameters
		must(len(h) == 2 && *h[0].Value == "1" && h[0].Labels[0] == "old" && *h[1].Value == "2" && h[1].Labels != nil && h[0].LastModifiedUser != nil && h[0].LastModifiedDate != nil, h)
		check(first(c.DeleteParameter(ctx, &ssm.DeleteParameterInput{Name: in.Name})))
		refused("ParameterNotFound", first(c.GetParameterHistory(ctx, in)), new(*types.ParameterNotFound))
	}),
	47: run(func() { // without a version the SDK does not ask
		made("/47", "1")
		out, err := label("/47", nil, "ok", "1bad", "aws-x")
		check(err)
		same(out.InvalidLabels, []string{"1bad", "aws-x"})
		un, err := c.UnlabelParameterVersion(ctx, &ssm.UnlabelParameterVersionInput{Name: aws.String(root + "/47"), ParameterVersion: aws.Int64(1), Labels: []string{"ok", "none"}})
		check(err)
		same(append(un.RemovedLabels, un.InvalidLabels...), []string{"ok", "none"})
		refused("ParameterVersionNotFound", first(label("/47", aws.Int64(9), "x")), new(*types.ParameterVersionNotFound))
		var ten []string
		for i := range 10 {
			ten = append(ten, "l"+strconv.Itoa(i))
		}
		check(first(label("/47", nil, ten...)))
		refused("ParameterVersionLabelLimitExceeded", first(label("/47", nil, "l10")), new(*types.ParameterVersionLabelLimitExceeded))
	}),
	48: run(func() {
		refused("ParameterNotFound", first(c.DeleteParameter(ctx, &ssm.DeleteParameterInput{Name: aws.String(root + "/48")})), new(*types.ParameterNotFound))
		made("/48", "x")
		out, err := c.DeleteParameters(ctx, &ssm.DeleteParametersInput{Names: []string{root + "/48", root + "/48none"}})
		check(err)
		same(append(out.DeletedParameters, out.InvalidParameters...), []string{root + "/48", root + "/48none"})
	}),
	49: run(func() {
		on := func(kind types.ResourceTypeForTagging, n int) error {
			in := &ssm.AddTagsToResourceInput{ResourceType: kind, ResourceId: aws.String(root + "/49")}
			for i := range n {
				in.Tags = append(in.Tags, types.Tag{Key: aws.String("k" + strconv.Itoa(i)), Value: aws.String("x")})
			}
			return first(c.AddTagsToResource(ctx, in))
		}
		refused("InvalidResourceId", on("Parameter", 1), new(*types.InvalidResourceId))
		made("/49", "x")
		refused("InvalidResourceType", on("Document", 1), new(*types.InvalidResourceType))
		check(on("Parameter", 1))
		refused("TooManyTagsError", on("Parameter", 51), new(*types.TooManyTagsError))
		out, err := c.ListTagsForResource(ctx, &ssm.ListTagsForResourceInput{ResourceType: "Parameter", ResourceId: aws.String(root + "/49")})
		check(err)
		must(len(out.TagList) == 1 && *out.TagList[0].Key == "k0", out)
	}),
}

func run(f func()) func() string { return func() string { f(); return "" } }

func one(n int) (id, text string) {
	defer func() {
		if p := recover(); p != nil {
			w, ok := p.(wrong)
			if text = w.text; !ok {
				text = fmt.Sprint(p)
			}
		}
	}()
	return behaviours[n](), ""
}

func main() {
	c = mine()
	if err := json.Unmarshal([]byte(os.Getenv("SESSION")), &session); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var asked []int
	for n := range behaviours {
		if only := os.Getenv("ONLY"); only == "" || only == strconv.Itoa(n) {
			asked = append(asked, n)
		}
	}
	slices.Sort(asked)
	for _, n := range asked {
		id, text := one(n)
		b, _ := json.Marshal(map[string]any{"n": n, "error": text, "id": id}) // texts and a number
		fmt.Println(string(b))
	}
}
