//! Which results are errors: what the package's own signatures say, then a table of Go's standard
//! library, then names.

use crate::facts::syntax::{children, fields, text};
use crate::rules::go::reach::last_part;
use crate::rules::go::{At, Callee, Package, Ty, is_standard};

/// What is known about a call's results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Results {
    /// Each result, whether it is an error; from a signature in this package.
    Signature(Vec<bool>),
    /// The last result is an error, by the table.
    LastIsError,
    /// None is an error, by the table or by name.
    NoError,
    /// Only guessed: the last result is likely an error.
    Likely,
    /// Nothing is known.
    Unknown,
}

/// Packages whose functions return no errors worth a check.
const WITHOUT_ERRORS: &[&str] = &[
    "bytes",
    "cmp",
    "context",
    "errors",
    "hash",
    "html",
    "iter",
    "log",
    "log/slog",
    "maps",
    "math",
    "math/big",
    "math/bits",
    "math/cmplx",
    "math/rand",
    "math/rand/v2",
    "path",
    "reflect",
    "runtime",
    "runtime/debug",
    "slices",
    "sort",
    "strings",
    "sync",
    "sync/atomic",
    "unicode",
    "unicode/utf16",
    "unicode/utf8",
    "unique",
];

/// Functions of other standard packages whose last result is no error.
const NO_ERROR: &[(&str, &[&str])] = &[
    (
        "os",
        &[
            "LookupEnv",
            "Getenv",
            "Environ",
            "Expand",
            "ExpandEnv",
            "Getpid",
            "TempDir",
        ],
    ),
    (
        "time",
        &[
            "Now",
            "Since",
            "Until",
            "Unix",
            "UnixMilli",
            "Date",
            "After",
            "Tick",
            "NewTimer",
        ],
    ),
    ("net", &["ParseIP", "JoinHostPort", "IPv4", "CIDRMask"]),
    (
        "net/http",
        &[
            "StatusText",
            "NewServeMux",
            "CanonicalHeaderKey",
            "DetectContentType",
        ],
    ),
    (
        "net/url",
        &["QueryEscape", "PathEscape", "User", "UserPassword"],
    ),
    (
        "path/filepath",
        &[
            "Split",
            "Join",
            "Base",
            "Dir",
            "Ext",
            "Clean",
            "ToSlash",
            "FromSlash",
        ],
    ),
    ("os/signal", &["NotifyContext", "Notify"]),
    (
        "strconv",
        &[
            "Itoa",
            "Quote",
            "FormatInt",
            "FormatBool",
            "FormatFloat",
            "FormatUint",
        ],
    ),
    ("runtime/debug", &["ReadBuildInfo"]),
    (
        "fmt",
        &[
            "Sprintf",
            "Sprint",
            "Sprintln",
            "Append",
            "Appendf",
            "Appendln",
            "FormatString",
        ],
    ),
];

/// Functions whose error is the only thing they return, or whose result nobody should drop.
const LAST_IS_ERROR: &[(&str, &[&str])] = &[
    (
        "encoding/json",
        &["Marshal", "MarshalIndent", "Unmarshal", "Compact", "Indent"],
    ),
    ("encoding/xml", &["Marshal", "MarshalIndent", "Unmarshal"]),
    ("encoding/hex", &["DecodeString", "Decode"]),
    ("encoding/binary", &["Read", "Write"]),
    (
        "io",
        &[
            "ReadAll",
            "ReadFull",
            "ReadAtLeast",
            "Copy",
            "CopyN",
            "CopyBuffer",
            "WriteString",
        ],
    ),
    (
        "io/ioutil",
        &[
            "ReadAll",
            "ReadFile",
            "WriteFile",
            "ReadDir",
            "TempFile",
            "TempDir",
        ],
    ),
    (
        "strconv",
        &[
            "Atoi",
            "ParseInt",
            "ParseUint",
            "ParseFloat",
            "ParseBool",
            "ParseComplex",
            "Unquote",
        ],
    ),
    (
        "net/http",
        &[
            "NewRequest",
            "NewRequestWithContext",
            "Get",
            "Post",
            "PostForm",
            "Head",
            "ListenAndServe",
        ],
    ),
    (
        "net/url",
        &[
            "Parse",
            "ParseRequestURI",
            "ParseQuery",
            "PathUnescape",
            "QueryUnescape",
            "JoinPath",
        ],
    ),
    (
        "os",
        &[
            "Chdir",
            "Chmod",
            "Chown",
            "Create",
            "CreateTemp",
            "Getwd",
            "Hostname",
            "Link",
            "Lstat",
            "Mkdir",
            "MkdirAll",
            "MkdirTemp",
            "Open",
            "OpenFile",
            "ReadDir",
            "ReadFile",
            "Readlink",
            "Remove",
            "RemoveAll",
            "Rename",
            "Setenv",
            "Stat",
            "Symlink",
            "Truncate",
            "Unsetenv",
            "UserHomeDir",
            "WriteFile",
        ],
    ),
    (
        "time",
        &["Parse", "ParseDuration", "ParseInLocation", "LoadLocation"],
    ),
    (
        "net",
        &[
            "ParseCIDR",
            "SplitHostPort",
            "Dial",
            "DialTimeout",
            "Listen",
            "LookupHost",
            "LookupIP",
        ],
    ),
    ("regexp", &["Compile", "MatchString", "Match"]),
    (
        "path/filepath",
        &[
            "Abs",
            "Rel",
            "Glob",
            "EvalSymlinks",
            "Walk",
            "WalkDir",
            "Match",
        ],
    ),
    ("compress/gzip", &["NewReader"]),
    ("database/sql", &["Open"]),
    ("os/exec", &["LookPath"]),
];

/// Methods whose last result is an error, whatever they belong to.
const ERROR_METHODS: &[&str] = &[
    "Decode",
    "Encode",
    "DecodeString",
    "Unmarshal",
    "Marshal",
    "Do",
    "RoundTrip",
    "ReadString",
    "ReadBytes",
    "ReadAll",
    "CombinedOutput",
    "Output",
    "ReadFrom",
    "WriteTo",
    "MarshalJSON",
    "UnmarshalJSON",
    "Ping",
    "PingContext",
    "ExecContext",
    "QueryContext",
    "Shutdown",
];

/// Methods whose last result is no error.
const NO_ERROR_METHODS: &[&str] = &[
    "Load",
    "LoadOrStore",
    "LoadAndDelete",
    "CompareAndSwap",
    "Swap",
    "Lookup",
    "LookupEnv",
    "Cut",
    "Peek",
    "Pop",
    "Deadline",
    "BasicAuth",
    "Value",
    "Front",
    "Back",
    "Zone",
    "Clock",
    "Date",
    "ISOWeek",
    "SetString",
    "Port",
    "Contains",
    "Has",
    "Find",
    "MethodByName",
    "FieldByName",
    "Password",
    "Start",
    "Recv",
];

fn listed(table: &[(&str, &[&str])], path: &str, name: &str) -> bool {
    table
        .iter()
        .any(|(package, names)| *package == path && names.contains(&name))
}

/// Whether a written type is `error`.
pub fn is_error_type(package: &Package<'_>, ty: Ty<'_>) -> bool {
    text(ty.node, package.files[ty.file].text) == "error"
}

/// What is known about the results of a call.
pub fn results<'t>(package: &Package<'t>, call: At<'t>) -> Results {
    let signature = |at: At<'t>| match package.results(at) {
        Some(types) => Results::Signature(
            types
                .into_iter()
                .map(|ty| is_error_type(package, ty))
                .collect(),
        ),
        None => Results::Unknown,
    };
    match package.callee(call) {
        Callee::Func(func) => signature(package.funcs[func].at),
        Callee::Literal(at) => signature(at),
        Callee::Value(ty) => signature(At {
            file: ty.file,
            node: ty.bare().node,
        }),
        Callee::Interface(_) => interface_method(package, call).map_or(Results::Unknown, signature),
        Callee::Builtin(_) => Results::NoError,
        Callee::Package { path, name } => of_package(path, name),
        Callee::Foreign { operand, ty, name } => of_method(package, call, operand, ty, name),
        Callee::Unknown => Results::Likely,
    }
}

fn of_package(path: &str, name: &str) -> Results {
    if listed(LAST_IS_ERROR, path, name) {
        return Results::LastIsError;
    }
    if path == "fmt" {
        // Printing fails when the writer does; nobody checks it, and linters agree.
        return if name.contains("can") {
            Results::LastIsError
        } else {
            Results::NoError
        };
    }
    if WITHOUT_ERRORS.contains(&path) || listed(NO_ERROR, path, name) {
        return Results::NoError;
    }
    // `errgroup.WithContext`, `tracing.WithSpan`: a value and another, never an error.
    if !is_standard(path) && (looks_up(name) || name.starts_with("With")) {
        return Results::NoError;
    }
    Results::Likely
}

fn looks_up(name: &str) -> bool {
    ["Lookup", "FromContext", "Cut", "Has", "Contains", "Load"]
        .iter()
        .any(|w| name.contains(w))
}

fn of_method<'t>(
    package: &Package<'t>,
    call: At<'t>,
    operand: At<'t>,
    ty: Option<Ty<'t>>,
    name: &str,
) -> Results {
    let foreign = ty.and_then(|ty| package.foreign_name(ty));
    if let Some((path, type_name)) = foreign {
        let never_fails = matches!(
            (path, type_name),
            ("strings", "Builder")
                | ("bytes", "Buffer")
                | ("net/http", "ResponseWriter" | "Header")
        ) || path.starts_with("hash")
            || path == "sync"
            || path == "sync/atomic"
            || path == "context";
        if never_fails {
            return Results::NoError;
        }
        if matches!((path, name), ("time", "Parse")) {
            return Results::LastIsError;
        }
        if path == "os/exec" {
            return Results::LastIsError;
        }
        if path == "time" || path == "reflect" || path.starts_with("math") {
            return Results::NoError;
        }
    }
    if name == "Wait" && (is_group(foreign) || made_as_group(package, operand)) {
        return Results::Signature(vec![true]);
    }
    if NO_ERROR_METHODS.contains(&name) || looks_up(name) {
        return Results::NoError;
    }
    if ERROR_METHODS.contains(&name) {
        return Results::LastIsError;
    }
    // `cache.Get(key)` gives a bool, `client.Get(ctx, id)` an error.
    if name == "Get" && !takes_context(package, call) {
        let source = package.files[operand.file].text;
        let holder = last_part(operand.node, source).to_ascii_lowercase();
        if !crate::rules::go::reach::is_client_name(&holder) {
            return Results::NoError;
        }
    }
    Results::Likely
}

fn is_group(ty: Option<(&str, &str)>) -> bool {
    ty.is_some_and(|(path, name)| path.ends_with("/errgroup") && name == "Group")
}

/// Whether a variable is a group from `errgroup.WithContext`, whose type is written nowhere here.
fn made_as_group<'t>(package: &Package<'t>, expr: At<'t>) -> bool {
    package.decl(expr).is_some_and(|decl| {
        package.decl_data(decl).values.first().is_some_and(|value| {
            value.expr.kind() == "call_expression"
                && matches!(
                    package.callee(At { file: decl.0, node: value.expr }),
                    Callee::Package { path, name: "WithContext" } if path.ends_with("/errgroup")
                )
        })
    })
}

/// Whether the first argument is a context, which only functions that can fail take.
pub fn takes_context(package: &Package<'_>, call: At<'_>) -> bool {
    let source = package.files[call.file].text;
    call.node
        .child_by_field_name("arguments")
        .and_then(|arguments| children(arguments).into_iter().next())
        .is_some_and(|first| {
            let word = last_part(first, source);
            word == "ctx" || word.ends_with("Ctx") || word == "Background" || word == "TODO"
        })
}

fn interface_method<'t>(package: &Package<'t>, call: At<'t>) -> Option<At<'t>> {
    let function = call.node.child_by_field_name("function")?;
    let operand = function.child_by_field_name("operand")?;
    let source = package.files[call.file].text;
    let name = text(function.child_by_field_name("field")?, source);
    let ty = package.type_of(At {
        file: call.file,
        node: operand,
    })?;
    let body = package.underlying(package.local_name(ty)?)?;
    let source = package.files[body.file].text;
    children(body.node)
        .into_iter()
        .find(|element| {
            element.kind() == "method_elem"
                && fields(*element, "name")
                    .first()
                    .is_some_and(|n| text(*n, source) == name)
        })
        .map(|node| At {
            file: body.file,
            node,
        })
}
