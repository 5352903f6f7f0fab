"""The page of ``escsr app``: drop a picture, see the difference. Needs the extra ``app`` (Gradio).

Nothing else imports it, and Gradio is loaded only when the page is built.
"""
