"""Which recorded models the benchmarks put together: pools by their accuracy, as data."""

from __future__ import annotations

MMLU_PRO: dict[str, tuple[str, ...]] = {
    "eight of 24 to 35 %": (
        *("Llama-2-13b-hf", "Meta-Llama-3-8B", "Mistral-7B-Instruct-v0.1", "Mistral-7B-v0.1"),
        *("Mistral-7B-v0.2-hf", "Qwen1.5-7B-Chat", "Yi-6B", "gemma-7b"),
    ),
    "eight of 35 to 44 %": (
        *("Llama-2-70b-hf", "Meta-Llama-3_1-8B", "Meta-Llama-3_1-8B-Instruct"),
        *("Mixtral-8x7B-Instruct-v0.1", "Yi-34B", "c4ai-command-r-v01", "llama-3-8b-quantized"),
        "mathstral-7B",
    ),
    "four of 47 to 57 %": (
        *("Meta-Llama-3_1-70B", "Qwen1.5-110B", "Qwen1.5-72B-Chat", "deepseek-v2-chat"),
    ),
    "three of 60 to 76 %": (
        *("Meta-Llama-3_1-70B-Instruct", "gemini-1.5-pro-002", "gpt-4o-2024-05-13"),
    ),
}
"""Band of accuracy on MMLU-Pro -> models; all 24 together are a pool of their own."""

OPEN: dict[str, tuple[str, ...]] = {
    "six of 4 to 9 B": (
        *("Meta-Llama-3-8B-Instruct", "Meta-Llama-3.1-8B-Instruct", "Phi-3.5-mini-instruct"),
        *("Yi-1.5-9B-Chat", "Qwen2.5-7B-Instruct", "Phi-3-mini-4k-instruct"),
    ),
    "four of them that answered both": (
        *("Meta-Llama-3-8B-Instruct", "Meta-Llama-3.1-8B-Instruct", "Phi-3.5-mini-instruct"),
        "Yi-1.5-9B-Chat",
    ),
}
"""Pools for open answers (GSM8K and CRUXEval). The last two of the six answered CRUXEval only."""
