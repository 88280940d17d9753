"""
Chat templates with the constructs and the formats of published families, in words of our own, and chats for them.
TEMPLATES: name, template, special tokens. EXTRA: further variables by template. record.py renders all with all.
"""

TOOLS = [
    {"type": "function", "function": {
        "name": "get_weather", "description": "The weather at a place, \"now\" & later <soon>",
        "parameters": {"type": "object", "properties": {
            "city": {"type": "string", "description": "Name of the city: Köln, 東京"},
            "unit": {"type": "string", "enum": ["C", "F"]},
            "days": {"type": "integer", "default": 1}}, "required": ["city"]}}},
    {"type": "function", "function": {
        "name": "add", "description": "Sum of numbers", "parameters": {
            "type": "object", "properties": {"values": {"type": "array", "items": {"type": "number"}}}, "required": []}}},
]


def call(name, arguments, id=None):
    made = {"type": "function", "function": {"name": name, "arguments": arguments}}
    return {"id": id, **made} if id else made


def user(content):
    return {"role": "user", "content": content}


def assistant(content, **more):
    return {"role": "assistant", "content": content, **more}


SYSTEM = {"role": "system", "content": "You answer in one sentence.\n"}
LOOKUP = call("get_weather", {"city": "Köln", "days": 2}, "abcdef123")
CHATS = [
    {"name": "one", "messages": [user("Hello")]},
    {"name": "empty", "messages": []},
    {"name": "system", "messages": [SYSTEM, user("  What is 2 + 2?\n")]},
    {"name": "only_system", "messages": [SYSTEM]},
    {"name": "turns", "messages": [SYSTEM, user("Hi"), assistant("Hello. "), user("Who are you?"), assistant("A model."), user("Bye")]},
    {"name": "ends_with_answer", "messages": [user("Hi"), assistant("\nHello\n")]},
    {"name": "thought", "messages": [user("1+1?"), assistant("<think>\nAdd them.\n</think>\n\n2"), user("And 2+2?"),
                                     assistant("<think>Again.</think>4")]},
    {"name": "reasoning", "messages": [user("1+1?"), assistant("2", reasoning_content="Add\nthem."), user("Sure?"),
                                       assistant("Yes", reasoning_content="It is.")]},
    {"name": "thinking_name", "messages": [user("1+1?"), assistant("2", thinking="Old name."), user("Go on")]},
    {"name": "reasoning_name", "messages": [user("1+1?"), assistant("2", reasoning="Third name.", thinking=None), user("Go on")]},
    {"name": "tools", "messages": [user("Weather in Köln?")], "tools": TOOLS},
    {"name": "tools_system", "messages": [SYSTEM, user("Weather?")], "tools": TOOLS[:1]},
    {"name": "tool_call", "messages": [user("Weather?"), assistant("", tool_calls=[LOOKUP]),
                                       {"role": "tool", "content": "{\"t\": 7.5}", "name": "get_weather", "tool_call_id": "abcdef123"}],
     "tools": TOOLS},
    {"name": "tool_answer", "messages": [SYSTEM, user("Weather?"), assistant(None, tool_calls=[LOOKUP]),
                                         {"role": "tool", "content": {"t": 7.5, "sky": "grau"}, "tool_call_id": "abcdef123"},
                                         assistant("7.5 degrees."), user("Thanks")], "tools": TOOLS},
    {"name": "two_calls", "messages": [user("Both?"), assistant("Let me see.", tool_calls=[LOOKUP, call("add", {"values": [1, 2.5]}, "zyxwvu987")]),
                                       {"role": "tool", "content": "rain", "tool_call_id": "abcdef123"},
                                       {"role": "tool", "content": "3.5", "tool_call_id": "zyxwvu987"}], "tools": TOOLS},
    {"name": "text_arguments", "messages": [user("Go"), assistant("", tool_calls=[call("add", "{\"values\": [1]}", "abcdef123")]),
                                            {"role": "tool", "content": "1", "tool_call_id": "abcdef123"}, assistant("One")], "tools": TOOLS},
    {"name": "steps", "messages": [user("Plan"), assistant("", reasoning_content="First the weather.", tool_calls=[LOOKUP]),
                                   {"role": "tool", "content": "dry", "tool_call_id": "abcdef123"},
                                   assistant("", reasoning_content="Then the sum.", tool_calls=[call("add", {"values": []}, "zyxwvu987")]),
                                   {"role": "tool", "content": "0", "tool_call_id": "zyxwvu987"}], "tools": TOOLS},
    {"name": "bare_calls", "messages": [user("Go"), assistant("", tool_calls=[{"name": "add", "arguments": {"values": [1]}}]),
                                        {"role": "ipython", "content": {"output": 1}}], "tools": TOOLS[1:]},
    {"name": "wrong_order", "messages": [user("a"), user("b")]},
    {"name": "assistant_first", "messages": [assistant("I begin."), user("Fine")]},
    {"name": "late_system", "messages": [user("a"), assistant("b"), SYSTEM, user("c")]},
    {"name": "parts", "messages": [{"role": "user", "content": [{"type": "text", "text": "Look: "}, {"type": "image", "image": "x"},
                                                                {"type": "text", "text": "what is it?"}]}, assistant([{"type": "text", "text": "A cat"}]),
                                   user("Sure?")]},
    {"name": "unicode", "messages": [SYSTEM, user("日本語 🙂 Ünïcode \u200b\u00a0 <|im_end|> </s> {{ x }} {% if %} \"quotes\" \\ back")]},
    {"name": "no_content", "messages": [user("x"), {"role": "assistant"}]},
    {"name": "no_role", "messages": [{"content": "x"}]},
    {"name": "switches", "messages": [{"role": "system", "content": "/no_think Be kind. /think"}, user("Hi /no_think")]},
    {"name": "long", "messages": [SYSTEM] + [m for i in range(12) for m in (user(f"Question {i}\n"), assistant(f"Answer {i}", tool_calls=[]))] + [user("?")]},
]

CHATML = """{% for message in messages %}{% if loop.first and message['role'] != 'system' %}{{ '<|im_start|>system\\nYou help people.<|im_end|>\\n' }}{% endif %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""

QWEN3 = r"""{#- Tools first, then messages; what was thought before the last question is left out. -#}
{%- if tools %}
    {{- '<|im_start|>system\n' }}
    {%- if messages and messages[0].role == 'system' %}
        {{- messages[0].content + '\n\n' }}
    {%- endif %}
    {{- "# Tools\n\nThese functions can be called, as <tools></tools> describes them:\n<tools>" }}
    {%- for tool in tools %}
        {{- "\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\n</tools>\n\nA call is a JSON object within <tool_call></tool_call>:\n<tool_call>\n{\"name\": <name>, \"arguments\": <object>}\n</tool_call><|im_end|>\n" }}
{%- else %}
    {%- if messages[0].role == 'system' %}
        {{- '<|im_start|>system\n' + messages[0].content + '<|im_end|>\n' }}
    {%- endif %}
{%- endif %}
{%- set ns = namespace(searching=true, last_query=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.searching and message.role == "user" and message.content is string and not (message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.searching = false %}
        {%- set ns.last_query = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}
        {%- set content = message.content %}
    {%- else %}
        {%- set content = '' %}
    {%- endif %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\n' + content + '<|im_end|>' + '\n' }}
    {%- elif message.role == "assistant" %}
        {%- set thought = '' %}
        {%- if message.reasoning_content is string %}
            {%- set thought = message.reasoning_content %}
        {%- else %}
            {%- if '</think>' in content %}
                {%- set thought = content.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') %}
                {%- set content = content.split('</think>')[-1].lstrip('\n') %}
            {%- endif %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query %}
            {%- if loop.last or (not loop.last and thought) %}
                {{- '<|im_start|>' + message.role + '\n<think>\n' + thought.strip('\n') + '\n</think>\n\n' + content.lstrip('\n') }}
            {%- else %}
                {{- '<|im_start|>' + message.role + '\n' + content }}
            {%- endif %}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\n' + content }}
        {%- endif %}
        {%- if message.tool_calls %}
            {%- for tool_call in message.tool_calls %}
                {%- if (loop.first and content) or (not loop.first) %}
                    {{- '\n' }}
                {%- endif %}
                {%- if tool_call.function %}
                    {%- set tool_call = tool_call.function %}
                {%- endif %}
                {{- '<tool_call>\n{"name": "' }}
                {{- tool_call.name }}
                {{- '", "arguments": ' }}
                {%- if tool_call.arguments is string %}
                    {{- tool_call.arguments }}
                {%- else %}
                    {{- tool_call.arguments | tojson }}
                {%- endif %}
                {{- '}\n</tool_call>' }}
            {%- endfor %}
        {%- endif %}
        {{- '<|im_end|>\n' }}
    {%- elif message.role == "tool" %}
        {%- if loop.first or (messages[loop.index0 - 1].role != "tool") %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\n<tool_response>\n' }}
        {{- content }}
        {{- '\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}
            {{- '<|im_end|>\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\n\n</think>\n\n' }}
    {%- endif %}
{%- endif %}"""

LLAMA31 = r"""{{- bos_token }}
{%- if custom_tools is defined %}
    {%- set tools = custom_tools %}
{%- endif %}
{%- if not tools_in_user_message is defined %}
    {%- set tools_in_user_message = true %}
{%- endif %}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}
        {%- set date_string = "26 Jul 2024" %}
    {%- endif %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}

{#- The system message goes into a header of its own. #}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}

{{- "<|start_header_id|>system<|end_header_id|>\n\n" }}
{%- if builtin_tools is defined or tools is not none %}
    {{- "Environment: ipython\n" }}
{%- endif %}
{%- if builtin_tools is defined %}
    {{- "Tools: " + builtin_tools | reject('equalto', 'code_interpreter') | join(", ") + "\n\n" }}
{%- endif %}
{{- "Knowledge until: December 2023\n" }}
{{- "Date of today: " + date_string + "\n\n" }}
{%- if tools is not none and not tools_in_user_message %}
    {{- "Functions that can be called, as JSON:\n\n" }}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\n\n" }}
    {%- endfor %}
{%- endif %}
{{- system_message }}
{{- "<|eot_id|>" }}

{%- if tools_in_user_message and not tools is none %}
    {%- if messages | length != 0 %}
        {%- set first_user_message = messages[0]['content']|trim %}
        {%- set messages = messages[1:] %}
    {%- else %}
        {{- raise_exception("Tools need a first user message to stand in.") }}
    {%- endif %}
    {{- '<|start_header_id|>user<|end_header_id|>\n\n' -}}
    {{- "Answer with a JSON call of one of these functions,\n" }}
    {{- 'as {"name": name, "parameters": dictionary}.\n\n' }}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\n\n" }}
    {%- endfor %}
    {{- first_user_message + "<|eot_id|>"}}
{%- endif %}

{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}
            {{- raise_exception("One tool call at a time!") }}
        {%- endif %}
        {%- set tool_call = message.tool_calls[0].function %}
        {%- if builtin_tools is defined and tool_call.name in builtin_tools %}
            {{- '<|start_header_id|>assistant<|end_header_id|>\n\n' -}}
            {{- "<|python_tag|>" + tool_call.name + ".call(" }}
            {%- for arg_name, arg_val in tool_call.arguments | items %}
                {{- arg_name + '="' ~ arg_val ~ '"' }}
                {%- if not loop.last %}
                    {{- ", " }}
                {%- endif %}
                {%- endfor %}
            {{- ")" }}
        {%- else  %}
            {{- '<|start_header_id|>assistant<|end_header_id|>\n\n' -}}
            {{- '{"name": "' + tool_call.name + '", ' }}
            {{- '"parameters": ' }}
            {{- tool_call.arguments | tojson }}
            {{- "}" }}
        {%- endif %}
        {%- if builtin_tools is defined %}
            {{- "<|eom_id|>" }}
        {%- else %}
            {{- "<|eot_id|>" }}
        {%- endif %}
    {%- elif message.role == "tool" or message.role == "ipython" %}
        {{- "<|start_header_id|>ipython<|end_header_id|>\n\n" }}
        {%- if message.content is mapping or message.content is iterable %}
            {{- message.content | tojson }}
        {%- else %}
            {{- message.content }}
        {%- endif %}
        {{- "<|eot_id|>" }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}
{%- endif %}
"""

LLAMA3 = """{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"""

LLAMA2 = """{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}{% for message in loop_messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('user and assistant must take turns: user, assistant, ...') }}{% endif %}{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"""

SMOLLM3 = r"""{# ---- defaults ---- #}
{%- if enable_thinking is not defined -%}
{%- set enable_thinking = true -%}
{%- endif -%}
{# ---- which way to think ---- #}
{%- if enable_thinking -%}
  {%- set reasoning_mode = "/think" -%}
{%- else -%}
  {%- set reasoning_mode = "/no_think" -%}
{%- endif -%}
{# ---- the system message ---- #}
{{- "<|im_start|>system\n" -}}
{%- if messages and messages[0].role == "system" -%}
  {%- set system_message = messages[0].content -%}
  {%- if "/no_think" in system_message -%}
    {%- set reasoning_mode = "/no_think" -%}
  {%- elif "/think" in system_message -%}
    {%- set reasoning_mode = "/think" -%}
  {%- endif -%}
  {%- set custom_instructions = system_message.replace("/no_think", "").replace("/think", "").rstrip() -%}
{%- endif -%}
{%- if custom_instructions and "/system_override" in custom_instructions -%}
  {{- custom_instructions.replace("/system_override", "").rstrip() -}}
  {{- "<|im_end|>\n" -}}
{%- else -%}
  {{- "## Facts\n\n" -}}
  {{- "Knowledge until: June 2025\n" -}}
  {%- set today = strftime_now("%d %B %Y") -%}
  {{- "Today: " ~ today ~ "\n" -}}
  {{- "Mode: " + reasoning_mode + "\n\n" -}}
  {{- "## What to do\n\n" -}}
  {%- if custom_instructions -%}
    {{- custom_instructions + "\n\n" -}}
  {%- elif reasoning_mode == "/think" -%}
    {{- "Think within <think> and </think>, then answer.\n\n" -}}
  {%- else -%}
    {{- "Answer at once.\n\n" -}}
  {%- endif -%}
  {%- if xml_tools or python_tools or tools -%}
    {{- "### Tools\n\n" -}}
    {%- if xml_tools or tools -%}
      {%- if tools -%}
        {%- set xml_tools = tools -%}
      {%- endif -%}
      {%- set ns = namespace(xml_tool_string="Functions, as <tools></tools> lists them:\n\n<tools>\n") -%}
      {%- for tool in xml_tools[:] -%} {# a copy #}
        {%- set ns.xml_tool_string = ns.xml_tool_string ~ (tool | string) ~ "\n" -%}
      {%- endfor -%}
      {%- set xml_tool_string = ns.xml_tool_string + "</tools>\n\nA call:\n<tool_call>\n{\"name\": <name>, \"arguments\": <object>}\n</tool_call>" -%}
      {{- xml_tool_string -}}
    {%- endif -%}
    {%- if python_tools -%}
      {%- set ns = namespace(python_tool_string="Python, within <code></code>:\n\n<tools>\n") -%}
      {%- for tool in python_tools[:] -%}
        {%- set ns.python_tool_string = ns.python_tool_string ~ (tool | string) ~ "\n" -%}
      {%- endfor -%}
      {{- ns.python_tool_string + "</tools>" -}}
    {%- endif -%}
    {{- "\n\n" -}}
    {{- "<|im_end|>\n" -}}
  {%- endif -%}
{%- endif -%}
{# ---- the chat ---- #}
{%- for message in messages -%}
    {%- set content = message.content if message.content is string else "" -%}
    {%- if message.role == "user" -%}
        {{ "<|im_start|>" + message.role + "\n"  + content + "<|im_end|>\n" }}
    {%- elif message.role == "assistant" -%}
        {% generation %}
        {%- if reasoning_mode == "/think" -%}
            {{ "<|im_start|>assistant\n" + content.lstrip("\n") + "<|im_end|>\n" }}
        {%- else -%}
            {{ "<|im_start|>assistant\n" + "<think>\n\n</think>\n" + content.lstrip("\n") + "<|im_end|>\n" }}
        {%- endif -%}
        {% endgeneration %}
    {%- elif message.role == "tool" -%}
    {{ "<|im_start|>" + "user\n"  + content + "<|im_end|>\n" }}
    {%- endif -%}
{%- endfor -%}
{# ---- the answer begins ---- #}
{%- if add_generation_prompt -%}
    {%- if reasoning_mode == "/think" -%}
        {{ "<|im_start|>assistant\n" }}
    {%- else -%}
        {{ "<|im_start|>assistant\n" + "<think>\n\n</think>\n"  }}
    {%- endif -%}
{%- endif -%}
"""

MISTRAL3 = r"""{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}
{%- set user_messages = loop_messages | selectattr("role", "equalto", "user") | list %}

{#- Users and assistants take turns, tools aside. #}
{%- set ns = namespace() %}
{%- set ns.index = 0 %}
{%- for message in loop_messages %}
    {%- if not (message.role == "tool" or message.role == "tool_results" or (message.tool_calls is defined and message.tool_calls is not none)) %}
        {%- if (message["role"] == "user") != (ns.index % 2 == 0) %}
            {{- raise_exception("After the system message, user and assistant must take turns") }}
        {%- endif %}
        {%- set ns.index = ns.index + 1 %}
    {%- endif %}
{%- endfor %}

{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if tools is not none and (message == user_messages[-1]) %}
            {{- "[AVAILABLE_TOOLS] [" }}
            {%- for tool in tools %}
                {%- set tool = tool.function %}
                {{- '{"type": "function", "function": {' }}
                {%- for key, val in tool.items() if key != "return" %}
                    {%- if val is string %}
                        {{- '"' + key + '": "' + val + '"' }}
                    {%- else %}
                        {{- '"' + key + '": ' + val|tojson }}
                    {%- endif %}
                    {%- if not loop.last %}
                        {{- ", " }}
                    {%- endif %}
                {%- endfor %}
                {{- "}}" }}
                {%- if not loop.last %}
                    {{- ", " }}
                {%- else %}
                    {{- "]" }}
                {%- endif %}
            {%- endfor %}
            {{- "[/AVAILABLE_TOOLS]" }}
            {%- endif %}
        {%- if loop.last and system_message is defined %}
            {{- "[INST] " + system_message + "\n\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST] " + message["content"] + "[/INST]" }}
        {%- endif %}
    {%- elif message.tool_calls is defined and message.tool_calls is not none %}
        {{- "[TOOL_CALLS] [" }}
        {%- for tool_call in message.tool_calls %}
            {%- set out = tool_call.function|tojson %}
            {{- out[:-1] }}
            {%- if not tool_call.id is defined or tool_call.id|length != 9 %}
                {{- raise_exception("A tool call has an id of 9 letters and digits!") }}
            {%- endif %}
            {{- ', "id": "' + tool_call.id + '"}' }}
            {%- if not loop.last %}
                {{- ", " }}
            {%- else %}
                {{- "]" + eos_token }}
            {%- endif %}
        {%- endfor %}
    {%- elif message["role"] == "assistant" %}
        {{- " " + message["content"]|trim + eos_token}}
    {%- elif message["role"] == "tool_results" or message["role"] == "tool" %}
        {%- if message.content is defined and message.content.content is defined %}
            {%- set content = message.content.content %}
        {%- else %}
            {%- set content = message.content %}
        {%- endif %}
        {{- '[TOOL_RESULTS] {"content": ' + content|string + ", " }}
        {%- if not message.tool_call_id is defined or message.tool_call_id|length != 9 %}
            {{- raise_exception("A tool call has an id of 9 letters and digits!") }}
        {%- endif %}
        {{- '"call_id": "' + message.tool_call_id + '"}[/TOOL_RESULTS]' }}
    {%- else %}
        {{- raise_exception("Roles are user, assistant, and system at the beginning!") }}
    {%- endif %}
{%- endfor %}
"""

GEMMA = """{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('No system role here') }}{% endif %}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Turns go user/assistant/user/assistant/...') }}{% endif %}{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}"""

GEMMA3 = r"""{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- if messages[0]['content'] is string -%}
        {%- set first_user_prefix = messages[0]['content'] + '

' -%}
    {%- else -%}
        {%- set first_user_prefix = messages[0]['content'][0]['text'] + '

' -%}
    {%- endif -%}
    {%- set loop_messages = messages[1:] -%}
{%- else -%}
    {%- set first_user_prefix = "" -%}
    {%- set loop_messages = messages -%}
{%- endif -%}
{%- for message in loop_messages -%}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
        {{ raise_exception("Turns go user/assistant/user/assistant/...") }}
    {%- endif -%}
    {%- if (message['role'] == 'assistant') -%}
        {%- set role = "model" -%}
    {%- else -%}
        {%- set role = message['role'] -%}
    {%- endif -%}
    {{ '<start_of_turn>' + role + '
' + (first_user_prefix if loop.first else "") }}
    {%- if message['content'] is string -%}
        {{ message['content'] | trim }}
    {%- elif message['content'] is iterable -%}
        {%- for item in message['content'] -%}
            {%- if item['type'] == 'image' -%}
                {{ '<start_of_image>' }}
            {%- elif item['type'] == 'text' -%}
                {{ item['text'] | trim }}
            {%- endif -%}
        {%- endfor -%}
    {%- else -%}
        {{ raise_exception("Neither text nor parts") }}
    {%- endif -%}
    {{ '<end_of_turn>
' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{'<start_of_turn>model
'}}
{%- endif -%}
"""

PHI3 = """{% for message in messages %}{% if message['role'] == 'system' and message['content'] %}{{'<|system|>\n' + message['content'] + '<|end|>\n'}}{% elif message['role'] == 'user' %}{{'<|user|>\n' + message['content'] + '<|end|>\n'}}{% elif message['role'] == 'assistant' %}{{'<|assistant|>\n' + message['content'] + '<|end|>\n'}}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"""

PHI4_MINI = """{% for message in messages %}{% if message['role'] == 'system' and 'tools' in message and message['tools'] is not none %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|tool|>' + message['tools'] + '<|/tool|>' + '<|end|>' }}{% else %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% else %}{{ eos_token }}{% endif %}"""

ZEPHYR = "{% for message in messages %}\n{% if message['role'] == 'user' %}\n{{ '<|user|>\n' + message['content'] + eos_token }}\n{% elif message['role'] == 'system' %}\n{{ '<|system|>\n' + message['content'] + eos_token }}\n{% elif message['role'] == 'assistant' %}\n{{ '<|assistant|>\n'  + message['content'] + eos_token }}\n{% endif %}\n{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n{% endfor %}"

# Macros that call themselves, as templates that write schemas as types do.
TYPES = r"""
{%- macro render_type(spec, depth=0) -%}
    {%- if spec.type == "array" -%}
        {{- render_type(spec["items"], depth + 1) if spec["items"] else "any" }}[]
    {%- elif spec.enum is defined and spec.enum -%}
        {%- for value in spec.enum -%}
            "{{ value }}"{% if not loop.last %} | {% endif %}
        {%- endfor -%}
    {%- elif spec.type == "object" -%}
        {{- "{\n" }}
        {%- for name, inner in spec.properties.items() %}
            {{- "  " * (depth + 1) ~ name ~ ("?" if name not in (spec.required or []) else "") ~ ": " ~ render_type(inner, depth=depth + 1) }}
            {%- if inner.default is defined %}{{ " // default: " ~ inner.default|string }}{% endif %}
            {{- ",\n" }}
        {%- endfor %}
        {{- "  " * depth ~ "}" }}
    {%- elif spec.type in ["number", "integer"] -%}
        number
    {%- else -%}
        {{- spec.type|default("any") }}
    {%- endif -%}
{%- endmacro -%}
{%- macro turn(role) -%}
<|{{ role }}|>
{{ caller() }}
<|end|>
{% endmacro -%}
{%- if tools %}
{%- call turn("developer") %}
namespace functions {
{%- for tool in tools|map(attribute="function")|sort(attribute="name") %}

// {{ tool.description|replace("\n", " ")|trim }}
type {{ tool.name }} = (_: {{ render_type(tool.parameters) }}) => any;
{%- endfor %}

}
{%- endcall %}
{%- endif %}
{%- for message in messages if message.role in ("user", "assistant", "tool") %}
    {%- set body %}
        {%- if message.tool_calls %}
            {%- for c in message.tool_calls %}
                {%- set f = c.function or c %}
                {{- loop.index ~ "/" ~ loop.length ~ " " ~ f.name ~ "(" }}
                {%- if f.arguments is mapping %}
                    {%- for k, v in f.arguments|dictsort %}{{ k }}={{ v|tojson }}{{ ", " if not loop.last }}{% endfor %}
                {%- else %}{{ f.arguments }}{% endif %}
                {{- ")\n" }}
            {%- endfor %}
        {%- endif %}
        {%- if message.content is none or message.content is undefined %}
        {%- elif message.content is string %}{{ message.content }}
        {%- elif message.content is mapping %}{{ message.content|tojson(indent=2) }}
        {%- else %}{{ message.content|selectattr("type", "equalto", "text")|map(attribute="text")|join }}
        {%- endif %}
    {%- endset %}
    {%- call turn(message.role) %}{{ body|trim|indent(1, first=true) }}{% endcall %}
{%- else %}
(nothing was said)
{%- endfor %}
{%- if add_generation_prompt %}<|assistant|>
{% endif -%}
"""

LLAMA_TOKENS = {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"}
S_TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
TEMPLATES = [
    ("chatml", CHATML, {"eos_token": "<|im_end|>"}),
    ("qwen3", QWEN3, {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}),
    ("llama31", LLAMA31, LLAMA_TOKENS),
    ("llama3", LLAMA3, LLAMA_TOKENS),
    ("llama2", LLAMA2, S_TOKENS),
    ("smollm3", SMOLLM3, {"eos_token": "<|im_end|>"}),
    ("mistral3", MISTRAL3, S_TOKENS),
    ("gemma", GEMMA, {"bos_token": "<bos>", "eos_token": "<eos>"}),
    ("gemma3", GEMMA3, {"bos_token": "<bos>", "eos_token": "<eos>"}),
    ("phi3", PHI3, {"bos_token": "<s>", "eos_token": "<|endoftext|>"}),
    ("phi4_mini", PHI4_MINI, {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"}),
    ("zephyr", ZEPHYR, S_TOKENS),
    ("types", TYPES, {}),
]
EXTRA = {
    "qwen3": [{"enable_thinking": True}, {"enable_thinking": False}],
    "smollm3": [{"enable_thinking": False}, {"python_tools": ["def f(x): ..."]}],
    "llama31": [{"date_string": "1 Jan 2025", "tools_in_user_message": False}, {"builtin_tools": ["get_weather", "code_interpreter"]}],
}
