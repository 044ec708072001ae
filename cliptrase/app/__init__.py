"""A local page for own pictures and words: from state to pictures and text, and a thin shell of Gradio."""
