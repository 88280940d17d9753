# Completion of emily for bash. A test compares the lists with `emily help COMMAND`.

_emily_models() {
    local cache=${HF_HUB_CACHE:-${HF_HOME:-$HOME/.cache/huggingface}/hub} entry
    for entry in "$cache"/models--*--*; do
        [ -d "$entry" ] || continue
        entry=${entry##*/models--}
        printf '%s\n' "${entry/--//}"
    done
}

_emily() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]} options
    local compute="--threads --dtype --device --lane --no-pack"
    local sampling="--max-tokens --temperature --top-k --top-p --min-p --repetition-penalty --presence-penalty
        --frequency-penalty --logit-bias --seed --stop --ignore-eos --context --rotate --keep --cache --prefill-chunk
        --speculate"
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W "chat generate embed search info tokenize chat-template perplexity bench pull quantize devices version help --help --version" -- "$current"))
        return
    fi
    case $command in
    chat) options="--system --no-think --var --stats $sampling $compute --exact --profile" ;;
    generate)
        options="--prompt-ids --raw --system --no-think --var --output --answers --json --logprobs --logits --special --stats $sampling $compute --exact --profile" ;;
    embed)
        options="--file --null --output --format --pooling --normalize --no-normalize --prompt --prompt-name --task --max-tokens
                 --dimensions --batch $compute --exact --profile" ;;
    search) options="--top --index --file --query-prompt --passage-prompt --json $compute --exact --profile" ;;
    info) options="--tensors --json $compute" ;;
    tokenize) options="--file --null --output --json --human --truncate --max-tokens --no-special" ;;
    chat-template) options="--tools --documents --no-generation-prompt --var --source --output" ;;
    perplexity) options="--context --json $compute --exact --profile" ;;
    bench) options="--shapes --runs --prefill --decode --batch --json $compute --exact --profile" ;;
    pull) options="--revision --include --cache --quiet" ;;
    quantize) options="--bits --group --mode --allow-nan --device --json --quiet" ;;
    devices) options="--json" ;;
    help)
        COMPREPLY=($(compgen -W "chat generate embed search info tokenize chat-template perplexity bench pull quantize devices version help" -- "$current"))
        return ;;
    *) options= ;;
    esac
    case $command$previous in
    generate--output) COMPREPLY=($(compgen -W "text ids" -- "$current")); return ;;
    chat--cache | generate--cache) COMPREPLY=($(compgen -W "f32 bf16 f16 s8" -- "$current")); return ;;
    quantize--bits | quantize-b) COMPREPLY=($(compgen -W "2 3 4 5 6 8" -- "$current")); return ;;
    quantize--group | quantize-g) COMPREPLY=($(compgen -W "16 32 64 128" -- "$current")); return ;;
    esac
    case $previous in
    --format) COMPREPLY=($(compgen -W "human jsonl csv npy" -- "$current")) ;;
    --pooling) COMPREPLY=($(compgen -W "mean cls max last mean-sqrt weighted" -- "$current")) ;;
    --task) COMPREPLY=($(compgen -W "query document" -- "$current")) ;;
    --mode | -m) COMPREPLY=($(compgen -W "affine mxfp4 mxfp8 nvfp4" -- "$current")) ;;
    --lane) COMPREPLY=($(compgen -W "fuse native eager" -- "$current")) ;;
    --dtype) COMPREPLY=($(compgen -W "f32 f64 bf16 f16" -- "$current")) ;;
    --device) COMPREPLY=($(compgen -W "$(emily devices 2>/dev/null | sed -n '/ not used: /!s/^..\([^ ]*\).*/\1/p')" -- "$current")) ;;
    --cache) COMPREPLY=($(compgen -d -- "$current")) ;;
    --file | -f | --output | -o | --index | -i) COMPREPLY=($(compgen -f -- "$current")) ;;
    *)
        if [[ $current == -* ]]; then
            COMPREPLY=($(compgen -W "$options --help" -- "$current"))
        elif [ "$COMP_CWORD" -eq 2 ] && [[ " chat generate embed search info tokenize chat-template perplexity bench pull quantize " == *" $command "* ]]; then
            COMPREPLY=($(compgen -W "$(_emily_models)" -- "$current") $(compgen -d -- "$current"))
        else
            COMPREPLY=($(compgen -f -- "$current"))
        fi ;;
    esac
}

complete -o filenames -F _emily emily
