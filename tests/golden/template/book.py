"""Small templates, a construct each, over one set of variables. record.py writes down what jinja2 makes of them."""

VARIABLES = {
    "s": "Hello, World", "e": "", "u": "Grüße, 日本 🙂!", "sp": "  a b\t\n", "html": "<a href='x'>\"&</a>",
    "i": 7, "n": -3, "z": 0, "f": 2.5, "big": 1e22, "small": 1.5e-7, "t": True, "no": False, "nil": None,
    "l": [3, 1, 2], "ls": ["b", "A", "c", "a"], "le": [], "ll": [[1, 2], [3, 4], [5, 6]],
    "mix": [1, "two", 3.0, None, True, [1], {"k": "v"}],
    "d": {"a": 1, "b": [1, 2], "c": {"x": "y"}, "items": "shadow"}, "de": {},
    "users": [{"name": "Bo", "age": 31, "tags": ["x", "y"], "on": True}, {"name": "al", "age": 25, "tags": [], "on": False},
              {"name": "Cy", "age": 31, "on": True, "more": {"deep": [10, 20]}}],
    "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"},
                 {"role": "assistant", "content": "<think>\nhm\n</think>\n\nHello"}, {"role": "user", "content": "Bye\n"}],
    "quote": "it's \"q\"", "ctl": "a\x01b\x7f\u200b\\", "lines": "one\n\n  two\nthree\n", "csv": "a,b,,c",
}

EXPRESSIONS = r"""
1 + 2 * 3
(1 + 2) * 3
7 // 2
-7 // 2
7 // -2
-7 % 3
7 % -3
7.5 % 2
-7.5 % 2
-7.5 // 2
7 / 2
6 / 3
2 ** 10
2 ** 3 ** 2
-2 ** 2
2 ** -1
2.0 ** 0.5
1 / 0
1 // 0
1 % 0
1.0 / 0
1.5 // 0
0.1 + 0.2
1e16
1e15
123456789012345680.0
1e-4
1e-5
1.0
100.0
1e100
-0.0
3.14159265358979
0x1F
0b101
0o17
1_000
1_0.5
.5
012
1.
true + 1
True
true == 1
1 == 1.0
none
None is none
nil
nil == none
f
big
small
-f
+n
-t
not t
not not e
not nil
"a" "b" 'c'
"a\nb\t\\\'\"\x41\u00e9\U0001F642\101\q"
'\N{DASH}'
s ~ 1 ~ none ~ true ~ 2.0 ~ [1]
s + "!"
s + 1
1 + s
"a" * 3
3 * "ab"
"a" * -1
[1] * 3
[1, 2] + [3]
(1,) + (2, 3)
[1] + (2,)
s - 1
nil + 1
l
ls
mix
d
ll[0]
()
(1,)
(1, 2)
[]
{}
{'a': 1, 'b': [2, (3,)], 1: none, 2.5: true}
{'a': 1, 'a': 2}
{[1]: 2}
quote
[quote]
["it's"]
['"']
["\\", "\n", "\t", "\r", "\x00", "\x7f", "é", "🙂", "\u200b"]
[ctl]
1 < 2 < 3
1 < 3 < 2
1 == 1 == 2
3 > 2 >= 2 != 1
"a" < "b"
"B" < "a"
"é" > "z"
"abc" < "abd"
"ab" < "abc"
[1, 2] < [1, 3]
[1, 2] < [1]
(1, 2) < (1, 2, 3)
1 < "a"
[1] < 2
none < 1
1 < none
d == {'a': 1}
l == [3, 1, 2]
[1, 2] == (1, 2)
"a" == 1
l != [3]
1 in l
4 not in l
"ell" in s
"x" not in s
"" in s
1 in s
"a" in d
"q" in d
1 in 5
"a" in nil
"x" in missing
[1, 2] in ll
2.0 in l
true in [1]
t and s
no and s
no or s
e or "x"
missing or "x"
s and missing
1 if t else 2
1 if no else 2
1 if no
(1 if no) is defined
(1 if no).x
"a" if no else "b" if no else "c"
"a" if no else "b" if t else "c"
s[0]
s[-1]
s[100]
s[100] is defined
u[0]
u[2]
u[-2]
u[-1:]
u[7:9]
s[1:4]
s[:5]
s[-5:]
s[:-7]
s[::2]
s[::-1]
u[::-1]
u[1::3]
s[10:2:-2]
s[5:2]
s[2:5:-1]
s[100:]
s[:100]
s[-100:3]
s[1:4:0]
l[0]
l[-1]
l[3]
l[3] is defined
l[1:]
l[::-1]
l[:-1]
ll[1:][0]
ll[-1][-1]
(1, 2, 3)[1:]
range(10)[2:8:3]
range(10)[::-1]|list
l["0"]
l["x"]
l.x
l.0
ll.1.0
d.a
d.b[1]
d["c"]["x"]
d.c.x
d["nope"]
d["nope"] is defined
d.nope
d.nope.x
d["nope"]["x"]
d.items
d["items"]
d.items()
d["keys"]()|list
d.keys()
d.values()
d|items|list
d.keys()|list
d.get("a")
d.get("zz")
d.get("zz", 5)
d.get("a", 5)
d.get()
d.update({'x': 1})
d.pop("a")
d.clear()
d.setdefault("q", 1)
d.update
l.append(1)
l.sort()
l.reverse()
l.append is defined
l.index(1)
l.index(9)
l.count(3)
(1, 1).count(1)
l.copy()
d.copy()
1 in d.values()
("a", 1) in d.items()
d.items()|length
d.keys()[0]
d.keys()[0] is defined
s.upper()
s.lower()
s.swapcase()
"hello world-foo they're".title()
"hELLO wORLD".capitalize()
"hello-world (foo) [bar] {baz} they're"|title
"ßa".upper()
"ß"|upper
"ÄÖ".lower()
"éa".capitalize()
"ǆx".title()
"ΑΣ".lower()
sp.strip()
sp.lstrip()
sp.rstrip()
"xxhixx".strip("x")
"xyhiyx".strip("xy")
"xyhiyx".lstrip("xy")
"xyhiyx".rstrip("xy")
"\n\nhi\n".strip("\n")
"日本日".strip("日")
sp.strip(none)
"a b  c".split()
" a  b c ".split(none, 1)
"a,b,c".split(",")
"a,b,c".split(",", 1)
"a,b,c".split(",", maxsplit=1)
"a,b,c".split(sep=",")
"a,b,c".rsplit(",", 1)
" a b c ".rsplit()
" a  b c ".rsplit(none, 1)
"".split()
"".split(",")
"abc".split("")
csv.split(",")
"a</think>b</think>c".split("</think>")[-1]
"a</think>b".split("</think>")[0].split("<think>")[-1]
"a-b-c".partition("-")
"a-b-c".rpartition("-")
"abc".partition("-")
"abc".rpartition("-")
lines.splitlines()
lines.splitlines(true)
"a\r\nb\rc\u2028d".splitlines()
"".splitlines()
s.startswith("Hell")
s.startswith("x")
s.startswith(("x", "H"))
s.startswith("W", 7)
s.startswith("")
s.startswith(1)
s.endswith("World")
s.endswith(("x", "ld"))
s.endswith(["ld"])
s.replace("l", "L")
s.replace("l", "L", 1)
s.replace("l", "")
"abc".replace("", "-")
"abc".replace("", "-", 2)
"aaa".replace("aa", "b")
"日本".replace("本", "x")
s.find("o")
s.find("o", 5)
s.find("zz")
u.find("日")
u.find("")
s.rfind("o")
s.rfind("o", 0, 6)
s.index("W")
s.index("q")
s.rindex("o")
s.count("l")
s.count("")
"aaaa".count("aa")
", ".join(ls)
", ".join(l)
"-".join("abc")
"-".join(d)
"".join([])
"-".join(none)
"prefix-x".removeprefix("prefix-")
"x-suffix".removesuffix("-suffix")
"abc".removeprefix("z")
"123".isdigit()
"12a".isdigit()
"".isdigit()
"abc".isalpha()
"ab1".isalnum()
" \n".isspace()
"ABC".isupper()
"abc1".islower()
"ab".center(7) ~ "|"
"ab".ljust(5) ~ "|"
"ab".rjust(5, "*")
"abc".center(6, "-")
"7".zfill(3)
"-7".zfill(4)
"{} {}".format(1, "a")
"{1} {0}".format(1, "a")
"{a} {b!r}".format(a=1, b="x")
"{0[0]} {0[1]}".format(l)
"{x[name]}".format(x=users[0])
"{{}}".format()
"{}".format()
"{:>5}|{:<5}|{:^5}|{:*^7}".format("a", "b", "c", "d")
"{:05d} {:+d} {:,} {:x} {:X} {:o} {:b} {:#x}".format(42, 7, 1234567, 255, 255, 8, 5, 255)
"{:.2f} {:8.3f} {:e} {:g} {:.1%}".format(3.14159, 2.5, 12345.678, 0.0001, 0.256)
"{:.3}".format("abcdef")
"{:d}".format("x")
"%s and %s" % ("a", 1)
"%s" % "x"
"%s" % [1]
"%s %s" % ("a",)
"%s" % ("a", "b")
"%d items" % 3
"%d" % 3.9
"%d" % "x"
"%5d|%-5d|%05d|%+d" % (1, 2, 3, 4)
"%5s|%-5s|%.2s" % ("a", "b", "cde")
"%f %.2f %e %g %G" % (1.5, 2.345, 12345.6, 1e-10, 1e20)
"%x %X %o %#x %c %c" % (255, 255, 8, 255, 65, "z")
"%r %s" % ("a'b", none)
"%(a)s-%(b)d" % {"a": 1, "b": 2}
"%%" % ()
"100%" % ()
"%z" % 1
"%*d" % (5, 3)
"%s" % missing
s.nope()
s.nope
nil.x
nil["x"]
nil.x.y
i.x
i()
missing
missing.x
missing["x"]
missing()
missing + 1
1 + missing
missing ~ "x"
-missing
missing == missing2
missing == none
missing != 1
missing < 1
missing[1:]
missing|length
missing|upper
missing|list
missing|join(",")
missing|tojson
missing|default("d")
missing|d
missing.x|default("d")
d.nope|default("d")
e|default("d")
e|default("d", true)
nil|default("d")
nil|default("d", boolean=true)
missing|int
missing|first is defined
missing|string
[missing]
missing is defined
missing is undefined
missing is none
missing is string
missing is mapping
missing is iterable
missing is sequence
missing is number
nil is defined
nil is none
nil is not none
s is string
i is string
i is number
f is number
t is number
t is integer
i is integer
f is float
i is float
t is boolean
i is boolean
t is true
i is true
no is false
z is false
d is mapping
l is mapping
l is sequence
s is sequence
d is sequence
i is sequence
l is iterable
s is iterable
d is iterable
i is iterable
range is callable
s is callable
s.upper is callable
i is odd
i is even
n is odd
f is odd
s is odd
i is divisibleby 7
i is divisibleby(2)
i is eq 7
i is equalto(7)
i is ne 7
i is lt 8
i is gt 8
i is ge 7
i is le 6
i is in [7, 8]
i is not in [7, 8]
"a" is in "abc"
t is sameas true
nil is sameas none
1 is sameas true
s is lower
"abc" is lower
"ABC" is upper
"upper" is filter
"nope" is filter
"odd" is test
i is nope
s is string and i is number
s is not string or t
not s is string
i is eq 7 and t
"x" ~ (i is odd)
sp|trim
"xxaxx"|trim("x")
nil|trim
i|trim
s|lower
s|upper
nil|upper
s|capitalize
s|title
s|length
u|length
l|length
d|length
i|length
l|count
(l|length) + 1
ls|join
ls|join(", ")
l|join("-")
mix|join("|")
users|join(", ", attribute="name")
"abc"|join("-")
d|join(",")
nil|join
s|list
u|list
d|list
i|list
range(3)|list
l|first
le|first
le|first is defined
l|last
le|last
s|first
s|last
d|first
d|last
users|map(attribute="name")|list
users|map(attribute="tags.0")|list
users|map(attribute="tags", default="none")|list
users|map(attribute="more.deep.1")|list
users|map(attribute="nope")|join(",")
users|map(attribute="nope", default="-")|join(",")
ls|map("upper")|list
ls|map("upper")|first
ls|map("replace", "a", "z")|join
l|map("string")|join(" ")
ls|map("nope")|list
l|map|list
l|map("default", 1)|list
users|map(attribute="name")|map("lower")|join("/")
[1, [2]]|map("list")|list
ls|map("upper")|length
(ls|map("upper"))[0]
l|select|list
[0, 1, "", "a", none]|select|list
l|select("odd")|list
l|reject("odd")|list
l|select("gt", 1)|list
l|select("in", [1, 2])|list
l|select("nope")|list
[0, 1]|reject|list
users|selectattr("on")|map(attribute="name")|list
users|rejectattr("on")|map(attribute="name")|list
users|selectattr("age", "eq", 31)|list|length
users|selectattr("age", "equalto", 31)|map(attribute="name")|join
users|selectattr("more", "defined")|list|length
users|selectattr("more", "undefined")|list|length
users|rejectattr("more", "defined")|map(attribute="name")|list
users|selectattr("name", "in", ["Bo"])|first
messages|selectattr("role", "==", "user")|list|length
messages|selectattr("role", "equalto", "tool")|first is defined
messages|selectattr
none|map("upper")|list
false|map(attribute="a")|list
0|select|list
0.0|reject("odd")|list
missing|selectattr("on")|list
missing.more|selectattr("on")|list
none|rejectattr("on", "eq", 1)|map(attribute="name")|join(",")
none|map|list
none|select("nope")|list
true|map("upper")|list
1|select|list
1.5|rejectattr("on")|list
l|sort
l|sort(reverse=true)
ls|sort
ls|sort(case_sensitive=true)
users|sort(attribute="age")|map(attribute="name")|list
users|sort(attribute="age,name")|map(attribute="name")|list
users|sort(attribute="age", reverse=true)|map(attribute="name")|list
["a", 1]|sort
le|sort
d|sort
["b", "B", "a"]|unique|list
["b", "B", "a"]|unique(case_sensitive=true)|list
[1, 1.0, true, 2]|unique|list
users|unique(attribute="age")|map(attribute="name")|list
l|reverse|list
s|reverse
u|reverse
l|min
l|max
ls|min
ls|max
ls|max(case_sensitive=true)
users|min(attribute="age")
le|min
le|max is defined
l|sum
[1.5, 2]|sum
users|sum(attribute="age")
users|sum(attribute="age", start=10)
le|sum
ls|sum
d|items|list
d|dictsort
d|dictsort(true)
{"b": 1, "A": 2}|dictsort
{"b": 1, "A": 2}|dictsort(true)
{"b": 1, "a": 2}|dictsort(false, "value")
{"b": 1, "a": 2}|dictsort(by="value", reverse=true)
{"b": 1, "a": 2}|dictsort(by="nope")
l|dictsort
l|items
missing|items|list
users|groupby("age")
(users|groupby("age"))[0].grouper
(users|groupby("age"))[0].list|length
users|groupby("tags")|length
"5"|int
" 42 "|int
"4.7"|int
"x"|int
"x"|int(9)
"0x1f"|int(base=16)
"1f"|int(0, 16)
"1_000"|int
f|int
t|int
nil|int
"-3"|int
"1e3"|int
"2.5"|float
"x"|float
"x"|float(1.5)
i|float
"inf"|float
"1e3"|float
nil|float
2.5|round
3.5|round
2.675|round(2)
1234.5678|round(2)
1234.5678|round(-2)
42.55|round(1, "floor")
42.55|round(1, "ceil")
42.55|round(1, "nope")
7|round
1250|round(-2)
1350|round(-2)
2.5|round|int
n|abs
f|abs
-2.5|abs
s|abs
i|string
f|string
nil|string
l|string
s|string ~ "x"
s|replace("l", "L")
s|replace("l", "L", 1)
i|replace("7", "8")
s|replace("", "-")
lines|indent
lines|indent(2)
lines|indent(2, true)
lines|indent(2, blank=true)
lines|indent("> ")
lines|indent(width=1, first=true)
""|indent
i|indent
html|escape
html|e
html|safe
html|safe|escape
html|escape|escape
html|safe + "<"
"<" + html|safe
"<" ~ html|safe
(html|safe)|upper
[html|safe]
html|escape|length
s|wordcount
"a b_c, d-e"|wordcount
"%s-%s"|format("a", 1)
"%(x)s"|format(x=1)
"ab"|center(6)
d|attr("a")
d|attr("keys") is defined
s|attr("upper")()
s|nope
s|upper|lower|title
s|upper()|length
l|tojson
d|tojson
mix|tojson
u|tojson
html|tojson
ctl|tojson
quote|tojson
f|tojson
big|tojson
small|tojson
t|tojson
nil|tojson
s|tojson
1e400|tojson
[1, (2, 3)]|tojson
{1: "a", none: "b", true: "c", 2.5: "d"}|tojson
{(1, 2): 3}|tojson
d|tojson(indent=2)
d|tojson(indent=4)
mix|tojson(indent=1)
le|tojson(indent=2)
de|tojson(indent=2)
d|tojson(indent="\t")
d|tojson(indent=0)
d|tojson(separators=(",", ":"))
d|tojson(separators=(",", ":"), indent=2)
d|tojson(sort_keys=true)
{"b": 1, "a": {"d": 1, "c": 2}}|tojson(sort_keys=true)
u|tojson(ensure_ascii=true)
u|tojson(true)
users|tojson
d.items()|tojson
range(2)|tojson
namespace(a=1)|tojson
range(3)
range(1, 4)|list
range(10, 0, -3)|list
range(0)|list
range(5, 1)|list
range(1, 2, 0)
range("a")
range(1, 10, 2)
range(3)|length
range(3)[1]
range(3)[-1]
range(3)[5]
range(3)|sum
2 in range(3)
range(3) == range(0, 3)
range(100001)
range(10**9)
dict(a=1, b=2)
dict([["a", 1]])
dict({"a": 1}, b=2)
dict()
dict(1)
namespace(a=1).a
namespace({"a": 1}).a
namespace(a=1)
namespace().a
namespace(a=1)["a"]
namespace(_a=1)
raise_exception("stop")
raise_exception()
strftime_now("%Y-%m-%d")
strftime_now("%d %b %Y")
strftime_now("%B %-d, %Y, %A %a %H:%M:%S %I %p %j %y %%")
strftime_now("%F %T %e")
strftime_now("%c|%x|%X|%D|%R|%U|%W|%w|%u|%h|%Z|%z|%f")
strftime_now(5)
s.__class__.__mro__
"".__class__.__bases__[0].__subclasses__()
(1).__class__.x
l.__init__.__globals__
range.__self__.x
namespace.__init__.__globals__
self._TemplateReference__context.x
cycler.__init__.__globals__
d["__class__"]["x"]
s["__class__"]["x"]
"{0.__class__.__mro__}".format(s)
users|map(attribute="__class__.__name__")|list
messages[0].role
messages[0]["content"]
messages[-1].content.strip()
messages[0].get("tool_calls")
messages[1:]|length
messages|length - 1
messages[0]["role"] == "system" and messages|length > 2
(messages|last).role
(messages|selectattr("role", "equalto", "user")|list)[-1].content
messages[2].content.split("</think>")[-1].lstrip("\n")
messages[2].content.split("</think>")|first
"</think>" in messages[2].content
messages[2]["content"].rstrip("\n").split("</think>")[0].rstrip("\n").split("<think>")[-1].lstrip("\n")
s |  upper  |  length
s|upper ~ "x"
1 + 2|string
"a" ~ 1 + 2
"a" ~ 1 * 2
1 ~ 2 == "12"
not 1 == 2
not (1 and 0)
1 and not 0
1 or 2 and 0
(1, 2)|length
[1, 2, 3,]
{"a": 1,}
(1,)|first
[[]]|length
l[0] + l[1]
l[l|length - 1]
d[s[:0] ~ "a"]
{"a": 1}.a
{"a": {"b": 2}}["a"].b
[1, 2][0]
"abc"[1]
("a" if t else "b") ~ "c"
"a" if t else "b" ~ "c"
x if x is defined else "no x"
x is defined and x
(x is defined and x) or "no x"
f == 2.5 and i == 7
i == 7.0
i in (7, 8)
i not in (7, 8)
'single' ~ "double"
"multi
line"
1 + + 2
1 - - 2
1 2
1 +
(1
[1
{1
{1: }
a b
a..b
a.
a[
a|
a|1
a is
1 = 2
"abc
'a' 'b
@
a ? b
$
!
a != 
&amp;
)
]
}
f(a=1, 2)
range(*[1, 4])|list
range(*(1, 4))|list
dict(**{"a": 1})
dict(**1)
range(stop=3)
lipsum is defined or true
loop
loop is defined
caller
varargs
true.x
1.5.x
""|first
""|last is defined
[none, 1]|first
"a"|map("upper")|list
{"a": 1}|map("upper")|list
"abc"|select("in", "ab")|join
"日本語"|list|reverse|join
u.upper()
u.lower()
u|title
u|capitalize
"é" in u
u.split(", ")
u.replace("日本", "JP")
"\u00a0x\u3000".strip()
" x "|length
"a\u00a0b".split()
1 if 1 if 1 else 0 else 2
l|length > 2 and l|first == 3
users[0].name ~ ":" ~ users[0].age
users[0]["tags"]|join("+")
users|map(attribute="age")|sum
users|map(attribute="age")|max
users|map(attribute="tags")|list
users|selectattr("tags")|list|length
users[0].tags is sequence and users[0].tags is not string and users[0].tags is not mapping
content is not string
(content or "")|trim
d.c is mapping
d.b is iterable and d.b is not mapping
(d.b, d.a)
d.b == [1, 2]
{"x": d.a}.x
("x", "y")[-1]
"x" * i
"=" * 3 ~ ">"
"a,b"|replace(",", "\n")
(1, 2) == (1, 2)
(1, [2]) in [(1, [2])]
none in [none]
false in [0]
"1" in ["1", 1]
{} == {}
{"a": 1, "b": 2} == {"b": 2, "a": 1}
[] or "empty"
{} or "empty"
0 or "zero"
0.0 or "zero"
range(0) or "none"
d.items() and "some"
de.items() or "none"
""
" "
"{{ }}"
"{% x %}"
'#}'
s[i]
s[f]
s[t]
l[t]
l[nil]
l[s]
s[s]
d[l]
d[1]
{1: 2}[1]
{1: 2}[true]
{1: 2}[1.0]
{"1": 2}[1] is defined
l[1:"a"]
l["a":]
l[none:2]
l[f:]
9223372036854775807
9223372036854775807 - 1
1e308 * 10
(1e308 * 10) - (1e308 * 10)
1e308 * 10 == 1e309
1.0 // 0.3
-1.0 % 0.3
5 // 0.3
1e300 % 7
0.5|round
1.5|round
-0.5|round
-1.5|round
1e16|round
0.1|round(3)
0.15|round(1)
1.005|round(2)
5e-324
1.7976931348623157e308
123456.789e3
4.35
0.3
2/3
1/3*3
10/4
10//4*4
7 - 2 - 1
2 * 3 % 4
2 + 3 ~ 4
"a" + "b" ~ "c"
[1] + [2] == [1, 2]
""".strip("\n").split("\n")
# A string with a newline within takes two lines of the list above.
at = EXPRESSIONS.index('"multi')
EXPRESSIONS[at:at + 2] = ['"multi\nline"']

EXPRESSIONS += ["[1] in {}", "{} in {'a': 1}", "[1] not in d", "(1, [2]) in d", "(1, 2) in d", "d.get([])", "d.get((1,))", "d[[]]",
                "{(1, 2): 3}[1, 2]", "l[0, 1]", "l[0, 1] is defined", "d['a', ]", "s|upper.lower", "1 if t else s|upper.lower"]

# Whole templates.
TEMPLATES = [
    "plain", "", "\n", "a\n", "a\n\n", "a\r\nb\rc\n", "{{ s }}\n", "{{ s }}\n\n", "  {{ s }}  ",
    "{# c #}x", "a{# c #}\nb", "a\n{# c #}\nb", "a\n  {# c #}\nb", "a {#- c -#} b", "a\n{#+ c #}\nb", "  {#+ c #}x", "{# a", "{#- - -#}x",
    "{#- {{ x }} {% if %} -#}y", "{# a #}{# b #}\n{# c #}\nx",
    "{% if t %}y{% endif %}", "{% if t %}\ny\n{% endif %}\nz", "  {% if t %}\n  y\n  {% endif %}\nz", "a {% if t %} b {% endif %} c",
    "a {%- if t -%} b {%- endif -%} c", "a\n{%- if t -%}\n b \n{%- endif -%}\n c", "a\n{%- if t %}\n b \n{%- endif %}\n c",
    "a\n  {%+ if t %}\n b {%+ endif +%}\n c", "{% if t +%}\nx{% endif %}", "\n  {% if t %}x{% endif %}  \n", "x  {% if t %}\n{% endif %}\ny",
    "{{- s -}} x", "a {{- s }} x", "a {{ s -}} x", "a\n\n{{- s -}}\n\nx", "{{ s }}\n{{ s }}", "\t{% if t %}\n\tx\n\t{% endif %}\n",
    "a\u00a0{%- if t %}b{% endif %}", "a\u3000\n {{- 1 }}", "{%if t%}x{%endif%}", "{%-if t-%}x{%-endif-%}", "{{s}}{{-s-}}{{s}}",
    "{% raw %}{{ x }}{% endraw %}", "a {%- raw -%} {{ x }} {%- endraw -%} b", "{% raw %}\n{% if %}\n{% endraw %}\nx", "  {% raw %} x\n  {% endraw %}\ny",
    "{% raw %}x", "{% raw -%}  a {% endraw +%}\nb", "{%+ raw %} a{%endraw%}", "{% raw x %}a{% endraw %}", "{% rawx %}",
    "{% if no %}a{% else %}b{% endif %}", "{% if no %}a{% elif t %}b{% else %}c{% endif %}", "{% if no %}a{% elif no %}b{% elif z %}c{% else %}d{% endif %}",
    "{% if t: %}a{% endif %}", "{% if missing %}a{% else %}b{% endif %}", "{% if missing.x %}a{% endif %}", "{% if l %}a{% endif %}{% if le %}b{% endif %}",
    "{% if t %}", "{% endif %}", "{% if %}a{% endif %}", "{% if t %}a{% else %}b{% else %}c{% endif %}", "{% if t %}{% for %}", "{% nope %}", "{% if t %}{% endfor %}",
    "{% if no %}{{ s|nope }}{% endif %}ok", "{% if t %}{{ s|nope }}{% endif %}", "{{ s|nope if no else 1 }}", "{{ (s|nope) if t else 1 }}", "{{ 1 if s is nope else 2 }}",
    "{% if no %}{% for x in l %}{{ x|nope }}{% endfor %}{% endif %}", "{{ [s|nope] }}", "{% set x = s|nope %}", "{% if x is nope %}{% endif %}",
    "{% for x in l %}{{ x }}{% endfor %}", "{% for x in l %}\n{{ x }}\n{% endfor %}\n", "{% for x in le %}a{% else %}none{% endfor %}", "{% for x in l %}a{% else %}none{% endfor %}",
    "{% for x in missing %}a{% else %}none{% endfor %}", "{% for x in nil %}a{% endfor %}", "{% for x in i %}a{% endfor %}", "{% for c in u %}[{{ c }}]{% endfor %}",
    "{% for k in d %}{{ k }},{% endfor %}", "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}", "{% for k, v in d|items %}{{ k }}={{ v }};{% endfor %}",
    "{% for a, b in ll %}{{ a }}-{{ b }} {% endfor %}", "{% for (a, b) in ll %}{{ a }}{% endfor %}", "{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}",
    "{% for a, b in l %}{% endfor %}", "{% for a, b in [[1, 2, 3]] %}{% endfor %}", "{% for a, b in [[1]] %}{% endfor %}",
    "{% for x in l if x > 1 %}{{ x }}{% endfor %}", "{% for x in l if x > 5 %}{{ x }}{% else %}no{% endfor %}", "{% for x in l if x > 1 %}{{ loop.index }}/{{ loop.length }} {{ loop.last }} {% endfor %}",
    "{% for m in messages if m.role == 'user' %}{{ loop.first }}{{ loop.previtem is defined }}{{ loop.nextitem.content }}{% endfor %}",
    "{% for x in l %}{{ loop.index }} {{ loop.index0 }} {{ loop.revindex }} {{ loop.revindex0 }} {{ loop.first }} {{ loop.last }} {{ loop.length }};{% endfor %}",
    "{% for x in l %}{{ loop.previtem }}|{{ loop.nextitem }};{% endfor %}", "{% for x in l %}{{ loop.previtem is defined }}{{ loop.nextitem is defined }}{% endfor %}",
    "{% for x in l %}{{ loop.nextitem.x }}{% endfor %}", "{% for x in l %}{{ loop.cycle('a', 'b') }}{% endfor %}", "{% for x in l %}{{ loop.cycle() }}{% endfor %}",
    "{% for x in [1, 1, 2, 2, 1] %}{{ loop.changed(x) }} {% endfor %}", "{% for x in l %}{{ loop.depth }}{{ loop.depth0 }}{% endfor %}", "{% for x in l %}{{ loop.nope }}{% endfor %}",
    "{% for x in l %}{% for y in ls %}{{ loop.index }}{% endfor %}{{ loop.index }} {% endfor %}", "{% for x in l %}{% set outer = loop %}{% for y in ls %}{{ outer.index }}{{ loop.index }} {% endfor %}{% endfor %}",
    "{% for x in l %}{{ loop|length }}{% endfor %}", "{% for x in range(3) %}{{ x }}{% endfor %}", "{% for x in range(3)|reverse %}{{ x }}{% endfor %}", "{% for x in l|map('string') %}{{ loop.last }}{{ loop.length }}{% endfor %}",
    "{% for x in l %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}", "{% for x in l %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% endfor %}",
    "{% for x in l %}{% for y in ls %}{% if y == 'A' %}{% break %}{% endif %}{{ y }}{% endfor %}{{ x }}{% endfor %}", "{% break %}", "{% if t %}{% continue %}{% endif %}",
    "{% for x in l %}{% macro m() %}{% break %}{% endmacro %}{% endfor %}", "{% for x in l %}{% break %}{% else %}none{% endfor %}",
    "{% for x in l recursive %}{{ x }}{% endfor %}", "{% for x in [[1, [2]], [3]] recursive %}({% if x is iterable %}{{ loop(x) }}{% else %}{{ x }}@{{ loop.depth }}{% endif %}){% endfor %}",
    "{% for x in l %}{{ loop(l) }}{% endfor %}", "{% for x in l, ls %}{{ x }}{% endfor %}", "{% for x in 1, 2 %}{{ x }}{% endfor %}", "{% for x in (1, 2) %}{{ x }}{% endfor %}",
    "{% for x in l if t else ls %}{{ x }}{% endfor %}", "{% for x in (l if t else ls) %}{{ x }}{% endfor %}", "{% for x l %}{% endfor %}", "{% for 1 in l %}{% endfor %}", "{% for x in %}{% endfor %}",
    "{% for x in l %}", "{% for x.y in l %}{% endfor %}", "{% for x in l %}{{ x }}{% endfor %}{{ x }}", "{% set x = 1 %}{% for x in l %}{% endfor %}{{ x }}",
    "{% for x in l %}{% set y = x %}{% endfor %}{{ y }}", "{% set y = 0 %}{% for x in l %}{% set y = y + x %}{{ y }}{% endfor %}={{ y }}",
    "{% set ns = namespace(y=0) %}{% for x in l %}{% set ns.y = ns.y + x %}{% endfor %}{{ ns.y }}", "{% set ns = namespace(found=false) %}{% for m in messages if not ns.found %}{{ m.role }}{% if m.role == 'user' %}{% set ns.found = true %}{% endif %}{% endfor %}",
    "{% set ns = namespace(a=1) %}{% set ns.b = 2 %}{{ ns.a }}{{ ns.b }}{{ ns.c is defined }}", "{% set ns = {} %}{% set ns.a = 1 %}", "{% set d.a = 5 %}", "{% set nope.a = 1 %}", "{% set ns = namespace() %}{% set ns._x = 1 %}",
    "{% set ns = namespace(l=[]) %}{% for x in l %}{% set ns.l = ns.l + [x * 2] %}{% endfor %}{{ ns.l }}", "{% set ns = namespace(a=1) %}{% set ns.a, b = 2, 3 %}{{ ns.a }}{{ b }}",
    "{% set x = 1 %}{{ x }}", "{% set x, y = 1, 2 %}{{ x }}{{ y }}", "{% set x = 1, 2 %}{{ x }}", "{% set (x, y) = l[:2] %}{{ x }}{{ y }}", "{% set x, y = l %}", "{% set x %}a{{ s }}b{% endset %}[{{ x }}]",
    "{% set x | upper %}abc{% endset %}{{ x }}", "{% set x | replace('a', 'b') | upper %}abc{% endset %}{{ x }}", "{% set x %}{% set y = 1 %}{{ y }}{% endset %}{{ x }}{{ y is defined }}",
    "{% set x = 1 %}{% if t %}{% set x = 2 %}{% endif %}{{ x }}", "{% if no %}{% set x = 2 %}{% endif %}{{ x is defined }}", "{% set 1 = 2 %}", "{% set x = %}", "{% set x %}", "{% set x = 1 if t else 2 %}{{ x }}",
    "{% set x = s|upper %}{{ x }}", "{% set s = 'new' %}{{ s }}", "{% set none = 1 %}", "{% set x = x + 1 %}", "{% set i = i + 1 %}{{ i }}", "{% set loop_messages = messages[1:] %}{{ loop_messages|length }}",
    "{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}{{ a is defined }}", "{% with %}{% set q = 1 %}{{ q }}{% endwith %}{{ q is defined }}", "{% set a = 1 %}{% with a = 2, b = a %}{{ a }}{{ b }}{% endwith %}{{ a }}", "{% with a %}{% endwith %}",
    "{% macro m() %}x{% endmacro %}{{ m() }}{{ m() }}", "{% macro m(a, b=2, c='z') %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }} {{ m(1, 3) }} {{ m(1, c=4) }} {{ m(c=1, a=2) }}",
    "{% macro m(a) %}[{{ a }}]{% endmacro %}{{ m() }}", "{% macro m(a) %}{{ a.x }}{% endmacro %}{{ m() }}", "{% macro m(a) %}{{ a is defined }}{% endmacro %}{{ m() }}", "{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}", "{% macro m(a) %}{% endmacro %}{{ m(b=1) }}",
    "{% macro m(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}", "{% macro m(a=1, b) %}{% endmacro %}", "{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, x=3) }}", "{% macro m() %}{{ caller() }}{% endmacro %}{% call m() %}body{{ s }}{% endcall %}",
    "{% macro m() %}{{ caller(1, 2) }}{% endmacro %}{% call(a, b) m() %}{{ a }}+{{ b }}{% endcall %}", "{% macro m() %}{% if caller %}{{ caller() }}{% else %}none{% endif %}{% endmacro %}{{ m() }}", "{% macro m() %}{{ caller() }}{% endmacro %}{{ m() }}", "{% macro m() %}x{% endmacro %}{% call m() %}y{% endcall %}",
    "{% macro f(n) %}{% if n > 0 %}{{ n }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(5) }}", "{% macro m() %}{{ s }}{{ later }}{% endmacro %}{% set later = 1 %}{{ m() }}", "{% set x = 1 %}{% macro m() %}{{ x }}{% set x = 2 %}{{ x }}{% endmacro %}{{ m() }}{{ x }}",
    "{% macro m() %}  a  {% endmacro %}[{{ m()|trim }}]", "{% macro m(x) -%}\n  {{ x }}\n{%- endmacro %}[{{ m(1) }}]", "{% macro m() %}{{ loop is defined }}{% endmacro %}{% for x in l %}{{ m() }}{% endfor %}", "{% for x in l %}{% macro m() %}{{ x }}{% endmacro %}{{ m() }}{% endfor %}",
    "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}b{% endmacro %}{{ a() }}", "{{ m() }}{% macro m() %}{% endmacro %}", "{% macro m(a, a) %}{{ a }}{% endmacro %}ok", "{% macro 1() %}{% endmacro %}", "{% macro m %}{% endmacro %}", "{% macro m() %}",
    "{% macro m(x) %}{{ x }}{% endmacro %}{{ m(*[1]) }}{{ m(**{'x': 2}) }}", "{% macro m() %}a{% endmacro %}{{ m() ~ 'b' }}{{ m()|upper }}{{ m() + 'c' }}", "{% macro m(x) %}{{ x|safe }}{% endmacro %}{{ m('<') + '<' }}",
    "{% macro m() %}{% set ns = namespace(a=1) %}{{ ns.a }}{% endmacro %}{{ m() }}", "{% macro m(items) %}{% for x in items %}{{ x }}{% if not loop.last %}, {% endif %}{% endfor %}{% endmacro %}{{ m(l) }}",
    "{% macro t(p) %}{% if p.type == 'array' %}{{ t(p['items']) }}[]{% elif p.type is iterable and p.type is not string %}{{ p.type|join(' | ') }}{% else %}{{ p.type }}{% endif %}{% endmacro %}{{ t({'type': 'array', 'items': {'type': ['a', 'b']}}) }}",
    "{% call s %}{% endcall %}", "{% filter upper %}a{{ s }}b{% endfilter %}", "{% filter replace('a', 'b')|upper %}aa{% endfilter %}", "{% filter nope %}a{% endfilter %}", "{% filter upper %}", "{% filter indent(2) %}a\nb{% endfilter %}",
    "{% generation %}x{{ s }}{% endgeneration %}", "{% generation %}\nx\n{% endgeneration %}\ny", "{%- generation -%} x {%- endgeneration -%}", "{% generation %}{% set q = 1 %}{% endgeneration %}{{ q is defined }}", "{% generation %}", "{% for x in l %}{% generation %}{{ loop.index }}{% endgeneration %}{% endfor %}",
    "{% print s %}", "{% print 1, 2 %}", "{% do l.append(1) %}", "{% extends 'x' %}", "{% include 'x' %}", "{% import 'x' as y %}", "{% from 'x' import y %}",
    "{{ raise_exception('a' ~ 1) }}", "{% if messages[0].role != 'user' %}{{ raise_exception('first must be user') }}{% endif %}", "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('alternate') }}{% endif %}{% endfor %}",
    "{{ 1 }}{{ 2 }}{# x #}{{ 3 }}", "{{", "{{ }}", "{%", "{% %}", "{{ s }", "{{ s %}", "{% if t }}", "{{ '}}' }}", "{{ '%}' }}", "{% set x = '{% endif %}' %}{{ x }}", "{{ {'a': {'b': 1}} }}", "{{ {'a': {'b': 1}}}}", "{{ '{{' }}", "{ { s } }", "{", "}}", "%}", "#}", "{ %", "{{s}}}", "{{{s}}}", "{{{'a': 1}}}",
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>' + '\\n' }}{% endfor %}", "{% for m in messages %}\n<|{{ m['role'] }}|>\n{{ m['content'] | trim }}</s>\n{% endfor %}\n<|assistant|>\n",
    "{%- for m in messages %}\n    {%- if m.role == 'user' %}\n        {{- '[INST] ' ~ m.content ~ ' [/INST]' }}\n    {%- elif m.role == 'assistant' %}\n        {{- ' ' ~ m.content ~ eos }}\n    {%- endif %}\n{%- endfor %}",
    "{% set x = {'a': 1} %}{{ x.a }}{% set x = dict(x, b=2) %}{{ x }}", "{% set ns = namespace(x=none) %}{% if ns.x is none %}none{% endif %}", "{{ namespace(a=[1]).a[0] }}", "{% set ns = namespace(d={}) %}{% set ns.d = dict(ns.d, k=1) %}{{ ns.d|tojson }}",
    "{%- set a -%}  x  {%- endset -%}[{{ a }}]", "a\n\n  {%- set b = 1 %}\n\nc", "{% if t %}\n  a\n{% else %}\n  b\n{% endif %}\n  c", "  {{ s }}\n  {% if t %}\n    x\n  {% endif %}\n  y\n", "{% if t -%}\n   x\n{%- endif %}y", "{{ s }}   {%- if t %} z{% endif %}",
    "line1\n{%- if no %}x{% endif %}\nline2", "{% for x in l -%}\n  {{ x }},\n{%- endfor %}", "{% for x in l %} {{ x }} {%- endfor %}", "{% set a = 1 -%}\n\n\n x", "{% set a = 1 %}\n\n\n x", "{% set a = 1 +%}\n x", "x {% set a = 1 %} y",
    "{%- macro m() %}\n  <m>\n{%- endmacro -%}\n[{{ m() }}]\n[{{- m() -}}]", "{{ '\\n' }}{{- '\\n' -}}{{ 'x' }}", "{%- if t %}{{- '\\n\\n' }}{%- endif %}x", "{{ \"a\" -}}\n\n   {{- \"b\" }}",
    "{% if not x is defined %}{% set x = false %}{% endif %}{{ x }}", "{% if tools is not none and tools is defined %}t{% else %}n{% endif %}", "{%- if not date_string is defined %}{% set date_string = '26 Jul 2024' %}{% endif %}{{ date_string }}",
    "{%- set image_count = namespace(value=0) %}{%- for m in messages %}{% set image_count.value = image_count.value + 1 %}{%- endfor %}{{ image_count.value }}", "{% set content = messages[0].content if messages[0].content is string else '' %}{{ content }}",
    "{% for i in range(messages|length - 1, -1, -1) %}{{ messages[i].role[0] }}{% endfor %}", "{% for message in messages[::-1] %}{% set index = (messages|length - 1) - loop.index0 %}{{ index }}{{ message.role }} {% endfor %}",
    "{% for k, v in users[0]|dictsort %}{{ k }}:{{ v }};{% endfor %}", "{% for k, v in {'b': 1, 'a': 2}.items() %}{{ loop.index }}{{ k }}{{ v }}{% endfor %}", "{% for g, us in users|groupby('age') %}{{ g }}:{{ us|map(attribute='name')|join(',') }};{% endfor %}", "{% for u in users|sort(attribute='name') %}{{ u.name }}{% endfor %}",
    "{% for u in users|selectattr('on') %}{{ loop.index }}{{ u.name }}{% if not loop.last %},{% endif %}{% endfor %}", "{% set g = l|map('string') %}{{ g|list }}{{ g|list }}", "{% set g = l|select('odd') %}{{ g|first }}{{ g|list }}", "{% set r = l|reverse %}{{ r|list }}{{ r|list }}",
    "{{ s if s }}{{ 1 if no }}x", "{{ s, i }}", "{{ s, }}", "{{ (s) }}", "{{- '' -}}", "{{ s }}{% if t %}{% endif %}{{ s }}", "{% if t %}{# c #}{% endif %}", "{% for x in l %}{# c #}{% endfor %}x", "{{ [1, 2]|map('string')|map('length')|list }}",
    "{{ 'a' ~ {'b': 1} ~ (1, 2) ~ none ~ 1.0 ~ true }}", "{{ l ~ '' }}", "{{ nil ~ '' }}", "{{ (1 < 2) ~ '' }}", "{{ not missing }}", "{{ missing is not defined and 1 }}", "{{ s[missing] }}", "{{ d[missing] }}", "{{ l[0:missing] }}", "{{ range(missing) }}",
    "{% autoescape true %}{{ '<' }}{% endautoescape %}" if False else "x", "{{ '<' ~ '>' }}{{ html }}", "é{{ 'ü' }}日{# 本 #}🙂", "{% set ñ = 1 %}{{ ñ }}", "{{ s }}\x00{{ s }}" if False else "y", "{{ '\\u00e9' == 'é' }}", "{{ 'é'|length }}{{ '\\ud83d' }}",
]
TEMPLATES += ["{{ " + expression + " }}" for expression in EXPRESSIONS]

# Refused although jinja2 prints something, for nothing good reads them.
STRICT = ["{{ self }}", "{{ self.x }}", "{{ ''.__class__ }}", "{{ d.__class__ }}", "{{ l['__len__'] }}", "{{ s|attr('__class__') }}",
          "{{ 2 ** 100 }}", "{{ 9223372036854775807 + 1 }}", "{{ 99999999999999999999 }}", "{% block a %}x{% endblock %}",
          "{% autoescape true %}x{% endautoescape %}", "{{ cycler(1) }}", "{{ '\\N{DASH}' }}"]
