"""The ensemble under the name that existing code imports."""

from serving.ensemble import GeminiEnsemble as GeminiEnsemble
