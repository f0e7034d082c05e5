"""What `mhff doctor` needs: findings, the checks that make them, and questions to programs.

`findings.py` is the protocol that components implement, `questions.py` asks programs within a time
limit, `requirements.py` compares installed packages with those that mhff requires, and `core.py`
has the core's own checks. Nothing here imports torch, so that a broken torch is found, too.
"""
