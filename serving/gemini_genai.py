"""Gemini through `google-genai`."""

from __future__ import annotations

import httpx
from google import genai
from google.genai import errors, types

from configs.ensemble import GeminiSettings
from market.errors import ConfigError
from serving.gemini_client import TEMPERATURE, RawAnswer, fault_of_status, tokens, total_tokens
from serving.gemini_faults import TooSlowError, UnavailableError, UnusableAnswerError
from serving.gemini_prompt import ANSWER_SCHEMA, Prompt

_PROXIES = "correct HTTP_PROXY, HTTPS_PROXY, ALL_PROXY or NO_PROXY"
_UNREADABLE = (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError)
"""What the SDK raises on a body that is not what it expects."""


class GenaiClient:
    """A client of its own connections.

    On connections of its own making the SDK would try again after pauses of up to ten seconds. On those handed in it
    leaves that to us, who know the deadline and the budget.
    """

    def __init__(self, settings: GeminiSettings) -> None:
        """Connect to nothing yet."""
        assert settings.api_key is not None
        limits = httpx.Limits(max_connections=settings.concurrency, max_keepalive_connections=settings.concurrency)
        try:
            # read once: the SDK would read all certificates for each of its three ways out, used or not
            trust = httpx.create_ssl_context()
            self._http = httpx.AsyncClient(
                verify=trust, limits=limits, timeout=settings.call_timeout_seconds, follow_redirects=False
            )
        except OSError as error:
            raise ConfigError(f"no certificates: {error}", remedy="correct SSL_CERT_FILE or SSL_CERT_DIR") from error
        except ImportError as error:
            raise ConfigError("a SOCKS proxy needs httpx[socks]", remedy=_PROXIES) from error
        except (ValueError, httpx.InvalidURL) as error:
            # its text may quote the address, and a password in it
            raise ConfigError(f"unusable proxy in the environment ({type(error).__name__})", remedy=_PROXIES) from None
        self._client = genai.Client(
            vertexai=False,
            api_key=settings.api_key.get_secret_value(),
            http_options=types.HttpOptions(
                base_url=settings.base_url,
                timeout=int(settings.call_timeout_seconds * 1000),
                httpx_async_client=self._http,
                client_args={"verify": trust},
                async_client_args={"ssl": trust},
            ),
        )
        self._model = settings.model
        self._thinking = settings.thinking_tokens
        self._max_output_tokens = settings.max_output_tokens

    async def ask(self, prompt: Prompt) -> RawAnswer:
        """See `GeminiClient.ask`."""
        try:
            answer = await self._client.aio.models.generate_content(
                model=self._model, contents=prompt.facts, config=self._config(prompt)
            )
            text = answer.text
        except errors.APIError as error:
            headers = getattr(error.response, "headers", None) or {}
            raise fault_of_status(error.code, headers, error.details) from None
        except httpx.TimeoutException:
            raise TooSlowError("no answer in time") from None
        except httpx.HTTPError as error:
            was_sent = not isinstance(error, httpx.ConnectError | httpx.ProxyError)
            raise UnavailableError(f"no connection ({type(error).__name__})", may_have_cost=was_sent) from None
        except _UNREADABLE as error:
            raise UnusableAnswerError(f"unreadable answer ({type(error).__name__})") from None
        if not text:
            raise UnusableAnswerError("answer without text")
        usage = answer.usage_metadata
        if usage is None:
            return RawAnswer(text, None, None)
        said = (usage.candidates_token_count, usage.thoughts_token_count)
        return RawAnswer(text, tokens(usage.prompt_token_count), total_tokens(said))

    async def aclose(self) -> None:
        """See `GeminiClient.aclose`."""
        await self._client.aio.aclose()
        await self._http.aclose()
        self._client.close()

    def _config(self, prompt: Prompt) -> types.GenerateContentConfig:
        return types.GenerateContentConfig(
            system_instruction=prompt.instruction,
            temperature=TEMPERATURE,
            candidate_count=1,
            automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
            max_output_tokens=self._max_output_tokens,
            response_mime_type="application/json",
            response_schema=ANSWER_SCHEMA,
            thinking_config=None if self._thinking is None else types.ThinkingConfig(thinking_budget=self._thinking),
        )
