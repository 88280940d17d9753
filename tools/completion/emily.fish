# Completion of emily for fish. A test compares the lists with `emily help COMMAND`: a line each, with its commands.

function __emily_is_first
    test (count (commandline -opc)) -eq 1
end

function __emily_is
    set -l words (commandline -opc)
    test (count $words) -ge 2; and contains -- $words[2] $argv
end

function __emily_wants_model
    test (count (commandline -opc)) -eq 2
    and __emily_is chat generate embed search info tokenize chat-template perplexity bench pull quantize
end

function __emily_models
    set -l cache ~/.cache/huggingface/hub
    set -q HF_HOME; and set cache $HF_HOME/hub
    set -q HF_HUB_CACHE; and set cache $HF_HUB_CACHE
    for entry in $cache/models--*--*
        string replace -- -- / (string replace -r '.*/models--' '' -- $entry)
    end
end

function __emily_devices
    emily devices --json 2>/dev/null | string match -v -- '*"absent"*' | string replace -rf '.*"name":"([^"]*)".*' '$1'
end

complete -c emily -n __emily_is_first -x -a chat -d 'a conversation with a model'
complete -c emily -n __emily_is_first -x -a generate -d 'the answer to a prompt, as it is written'
complete -c emily -n __emily_is_first -x -a embed -d 'texts to vectors'
complete -c emily -n __emily_is_first -x -a search -d 'the passages that answer a query'
complete -c emily -n __emily_is_first -x -a info -d 'what a checkpoint is and what it can do'
complete -c emily -n __emily_is_first -x -a tokenize -d 'texts to token ids'
complete -c emily -n __emily_is_first -x -a chat-template -d 'the text that a chat becomes'
complete -c emily -n __emily_is_first -x -a perplexity -d 'how well a model foresees a text'
complete -c emily -n __emily_is_first -x -a bench -d 'how fast a model runs'
complete -c emily -n __emily_is_first -x -a pull -d 'download a model into the Hugging Face cache'
complete -c emily -n __emily_is_first -x -a quantize -d 'a checkpoint with fewer bits a weight'
complete -c emily -n __emily_is_first -x -a devices -d 'where programs can run here'
complete -c emily -n __emily_is_first -x -a version -d 'version, compiler, CPU features'
complete -c emily -n __emily_is_first -x -a help -d 'examples and options of a command'

complete -c emily -n __emily_is_first -l version -d 'version, compiler, CPU features'
complete -c emily -s h -l help -d 'examples and options'
complete -c emily -n __emily_wants_model -a '(__emily_models)'
complete -c emily -n '__emily_is help' -x -a 'chat generate embed search info tokenize chat-template perplexity bench pull quantize devices version help'

complete -c emily -n '__emily_is chat generate' -s s -l system -x -d 'told before'
complete -c emily -n '__emily_is chat generate' -l no-think -d 'without thinking aloud'
complete -c emily -n '__emily_is chat generate' -l var -x -d 'of the template'
complete -c emily -n '__emily_is chat' -l stats -d 'times'
complete -c emily -n '__emily_is chat generate' -s n -l max-tokens -x -d 'tokens of an answer at most'
complete -c emily -n '__emily_is chat generate' -s T -l temperature -x -d '0 for the most likely'
complete -c emily -n '__emily_is chat generate' -l top-k -x -d 'among the N most likely'
complete -c emily -n '__emily_is chat generate' -l top-p -x -d 'among those that reach P'
complete -c emily -n '__emily_is chat generate' -l min-p -x -d 'among those P times as likely as the best'
complete -c emily -n '__emily_is chat generate' -l repetition-penalty -x -d 'divide logits'
complete -c emily -n '__emily_is chat generate' -l presence-penalty -x -d 'subtract'
complete -c emily -n '__emily_is chat generate' -l frequency-penalty -x -d 'subtract for each'
complete -c emily -n '__emily_is chat generate' -l logit-bias -x -d 'add to a logit'
complete -c emily -n '__emily_is chat generate' -l seed -x -d 'of the draws'
complete -c emily -n '__emily_is chat generate' -l stop -x -d 'end before this'
complete -c emily -n '__emily_is chat generate' -l ignore-eos -d 'go on after the end'
complete -c emily -n '__emily_is chat generate' -l context -x -d 'tokens remembered'
complete -c emily -n '__emily_is chat generate' -l rotate -d 'forget the oldest'
complete -c emily -n '__emily_is chat generate' -l keep -x -d 'tokens that rotate keeps'
complete -c emily -n '__emily_is chat generate' -l cache -x -a 'f32 bf16 f16 s8' -d 'keys and values'
complete -c emily -n '__emily_is chat generate' -l prefill-chunk -x -d 'tokens at a time'
complete -c emily -n '__emily_is chat generate' -l speculate -x -d 'tokens guessed'
complete -c emily -n '__emily_is chat generate embed search info perplexity bench' -s t -l threads -x -d 'threads to compute with'
complete -c emily -n '__emily_is chat generate embed search info perplexity bench' -l dtype -x -a 'f32 f64 bf16 f16' -d 'arithmetic'
complete -c emily -n '__emily_is chat generate embed search info perplexity bench quantize' -l device -x -a '(__emily_devices)' -d 'device to compute on'
complete -c emily -n '__emily_is chat generate embed search info perplexity bench' -l lane -x -a 'fuse native eager' -d 'how programs run'
complete -c emily -n '__emily_is chat generate embed search info perplexity bench' -l no-pack -d 'weights as they lie'
complete -c emily -n '__emily_is chat generate perplexity embed search bench' -l exact -d 'of a decoder: without rounding to bf16'
complete -c emily -n '__emily_is chat generate embed search perplexity bench' -l profile -d 'kernels of the last forward'
complete -c emily -n '__emily_is generate' -l prompt-ids -x -d 'token ids'
complete -c emily -n '__emily_is generate' -l raw -d 'without the chat template'
complete -c emily -n '__emily_is generate' -l output -x -a 'text ids' -d 'what to print'
complete -c emily -n '__emily_is generate' -l answers -x -d 'answers to the prompt'
complete -c emily -n '__emily_is generate perplexity quantize' -l json -d 'one object'
complete -c emily -n '__emily_is generate' -l logprobs -x -d 'most likely tokens'
complete -c emily -n '__emily_is generate' -l logits -r -d 'save logits'
complete -c emily -n '__emily_is generate' -l special -d 'show special tokens'
complete -c emily -n '__emily_is generate' -l stats -d 'times and memory'
complete -c emily -n '__emily_is embed tokenize' -s f -l file -r -d 'texts from a file'
complete -c emily -n '__emily_is embed tokenize' -s 0 -l null -d 'texts end with NUL'
complete -c emily -n '__emily_is embed tokenize chat-template' -s o -l output -r -d 'write there'
complete -c emily -n '__emily_is embed' -l format -x -a 'human jsonl csv npy' -d 'form of the result'
complete -c emily -n '__emily_is embed' -l pooling -x -a 'mean cls max last mean-sqrt weighted' -d 'how token vectors become one'
complete -c emily -n '__emily_is embed' -l normalize -d 'vectors of length 1'
complete -c emily -n '__emily_is embed' -l no-normalize -d 'vectors as pooled'
complete -c emily -n '__emily_is embed' -l prompt -x -d 'put before each text'
complete -c emily -n '__emily_is embed' -l prompt-name -x -d 'a prompt that the model defines'
complete -c emily -n '__emily_is embed' -l task -x -a 'query document' -d 'what the texts are for'
complete -c emily -n '__emily_is embed tokenize' -l max-tokens -x -d 'cut longer texts there'
complete -c emily -n '__emily_is embed' -l dimensions -x -d 'keep the first of a vector'
complete -c emily -n '__emily_is embed' -s b -l batch -x -d 'texts taken at a time'
complete -c emily -n '__emily_is search' -s k -l top -x -d 'passages to show'
complete -c emily -n '__emily_is search' -s i -l index -r -d 'keep the vectors there'
complete -c emily -n '__emily_is search' -s f -l file -r -d 'a corpus file or directory'
complete -c emily -n '__emily_is search' -l query-prompt -x -d 'put before a query'
complete -c emily -n '__emily_is search' -l passage-prompt -x -d 'put before a passage'
complete -c emily -n '__emily_is search' -l json -d 'an object a query'
complete -c emily -n '__emily_is info' -l tensors -d 'list the tensors'
complete -c emily -n '__emily_is info' -l json -d 'one JSON object'
complete -c emily -n '__emily_is tokenize' -l json -d 'ids and offsets'
complete -c emily -n '__emily_is tokenize' -l human -d 'tokens'
complete -c emily -n '__emily_is tokenize' -l truncate -d 'cut as tokenizer.json says'
complete -c emily -n '__emily_is tokenize' -l no-special -d 'without special tokens'
complete -c emily -n '__emily_is chat-template' -l tools -r -d 'tools, a JSON array'
complete -c emily -n '__emily_is chat-template' -l documents -r -d 'documents, a JSON array'
complete -c emily -n '__emily_is chat-template' -l no-generation-prompt -d 'without the beginning of an answer'
complete -c emily -n '__emily_is chat-template' -l var -x -d 'a variable of the template'
complete -c emily -n '__emily_is chat-template' -l source -d 'the template itself'
complete -c emily -n '__emily_is perplexity' -l context -x -d 'tokens scored at a time'
complete -c emily -n '__emily_is bench' -s s -l shapes -x -d 'texts x tokens'
complete -c emily -n '__emily_is bench' -s n -l runs -x -d 'runs after warm-up'
complete -c emily -n '__emily_is bench' -s p -l prefill -x -d 'tokens of the prompt'
complete -c emily -n '__emily_is bench' -s d -l decode -x -d 'tokens of the answer'
complete -c emily -n '__emily_is bench' -s b -l batch -x -d 'sequences at a time'
complete -c emily -n '__emily_is bench' -l json -d 'an object a shape'
complete -c emily -n '__emily_is pull' -s r -l revision -x -d 'branch, tag or commit'
complete -c emily -n '__emily_is pull' -l include -x -d 'files to fetch'
complete -c emily -n '__emily_is pull' -l cache -x -a '(__fish_complete_directories)' -d 'where to put it'
complete -c emily -n '__emily_is pull' -s q -l quiet -d 'no progress line'
complete -c emily -n '__emily_is quantize' -s b -l bits -x -a '2 3 4 5 6 8' -d 'bits of a code'
complete -c emily -n '__emily_is quantize' -s g -l group -x -a '16 32 64 128' -d 'weights that share a scale'
complete -c emily -n '__emily_is quantize' -s m -l mode -x -a 'affine mxfp4 mxfp8 nvfp4' -d 'form of a code'
complete -c emily -n '__emily_is quantize' -l allow-nan -d 'go on with weights that are NaN or infinite'
complete -c emily -n '__emily_is quantize' -s q -l quiet -d 'no report'
complete -c emily -n '__emily_is devices' -l json -d 'an object a device'
