"""Gemini through `google-generativeai`, whose support has ended; kept for those who still need it."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import google.generativeai as genai
from google.api_core.exceptions import DeadlineExceeded, GoogleAPICallError, GoogleAPIError, RetryError
from google.generativeai.client import get_default_generative_client
from google.generativeai.types import (
    BlockedPromptException,
    GenerateContentResponse,
    RequestOptions,
    StopCandidateException,
)
from google.protobuf.json_format import Error as JsonFormatError
from google.protobuf.message import Error as MessageError
from requests.adapters import HTTPAdapter
from requests.exceptions import RequestException, Timeout
from urllib3.exceptions import NewConnectionError

from configs.ensemble import GeminiSettings
from serving.gemini_client import TEMPERATURE, RawAnswer, fault_of_status, tokens
from serving.gemini_faults import RefusedError, TooSlowError, UnavailableError, UnusableAnswerError
from serving.gemini_prompt import ANSWER_SCHEMA, Prompt

_UNREADABLE = (
    *(ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError),
    *(JsonFormatError, MessageError),
)
"""What the SDK raises on a body that is not what it expects, and where an answer holds no text."""


class LegacyClient:
    """Blocking requests over REST in threads: this SDK's asynchronous calls do not work over REST.

    A thread whose request was given up ends by itself after the request's own timeout. The key and the address are
    configured for the whole process, as the SDK does it.
    """

    def __init__(self, settings: GeminiSettings) -> None:
        """Connect to nothing yet."""
        assert settings.api_key is not None
        genai.configure(
            api_key=settings.api_key.get_secret_value(),
            transport="rest",
            client_options={"api_endpoint": settings.base_url} if settings.base_url else None,
        )
        self._model_name = settings.model
        self._options = RequestOptions(retry=None, timeout=settings.call_timeout_seconds)
        self._generation = {
            "temperature": TEMPERATURE,
            "candidate_count": 1,
            "max_output_tokens": settings.max_output_tokens,
            "response_mime_type": "application/json",
            "response_schema": ANSWER_SCHEMA,
        }
        session = get_default_generative_client().transport._session
        # one connection per thread, or urllib3 would warn of every one that it closes
        session.mount("https://", HTTPAdapter(pool_maxsize=settings.concurrency))
        session.mount("http://", HTTPAdapter(pool_maxsize=settings.concurrency))
        self._threads = ThreadPoolExecutor(settings.concurrency, thread_name_prefix="gemini-legacy")

    async def ask(self, prompt: Prompt) -> RawAnswer:
        """See `GeminiClient.ask`."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._ask, prompt)

    async def aclose(self) -> None:
        """See `GeminiClient.aclose`."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _ask(self, prompt: Prompt) -> RawAnswer:
        model = genai.GenerativeModel(self._model_name, system_instruction=prompt.instruction)
        try:
            answer = model.generate_content(
                prompt.facts, generation_config=self._generation, request_options=self._options
            )
            return _read(answer)
        except (DeadlineExceeded, RetryError, Timeout):
            raise TooSlowError("no answer in time") from None
        except GoogleAPICallError as error:
            status, response = error.code, error.response
            if status is None:
                raise RefusedError(f"refused ({type(error).__name__})") from None
            raise fault_of_status(int(status), getattr(response, "headers", {}), _details(response)) from None
        except (RequestException, GoogleAPIError) as error:
            cause = getattr(error.args[0], "reason", None) if error.args else None
            was_sent = not isinstance(cause, NewConnectionError)
            raise UnavailableError(f"no connection ({type(error).__name__})", may_have_cost=was_sent) from None
        except (BlockedPromptException, StopCandidateException):
            raise UnusableAnswerError("answer without text") from None
        except _UNREADABLE as error:
            raise UnusableAnswerError(f"unreadable answer ({type(error).__name__})") from None


def _read(answer: GenerateContentResponse) -> RawAnswer:
    usage = answer.usage_metadata
    return RawAnswer(answer.text, tokens(usage.prompt_token_count), tokens(usage.candidates_token_count))


def _details(response: object) -> object:
    """The body of an error, where its details are read as Google's other client gives them."""
    try:
        return response.json()  # type: ignore[attr-defined]
    except (AttributeError, ValueError):
        return None
